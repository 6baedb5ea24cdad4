"""What `orch why` and `orch check` say on a terminal, and `orch compare`."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from orchestrator.views.tables.comparison import comparison_lines
from orchestrator.views.tables.drawing import Screen
from orchestrator.views.tables.told import explained, followed, listed
from tests.support.screens import matches, plain

GATE = [
    "small-5s8a/seed=0 is SKIPPED (gate, 2:10 ago): 1 of 3 jobs of small-5s5a reach test accuracy "
    "0.9, and 2 have to",
    "gate: no, decided at 2026-11-28 10:29:00",
    "  test_accuracy of small-5s5a is at least 0.9 in 2 of 3 jobs: not met",
    *(
        f"    small-5s5a/model=lstm,seed={seed}: 0.{value}, {words} "
        f"(jobs/small.{seed}/out/results.json)"
        for seed, value, words in ((0, 423, "misses it"), (1, 91, "reaches it"))
    ),
    "    small-5s5a/model=lstm,seed=2: FAILED",
    "  before: open at 2026-11-28 10:20:00: 2 of 3 jobs are open",
    "needs small-5s5a/model=lstm,seed=2 (FAILED: NaN: loss is nan at step 7)",
    "to decide it yourself: orch override small-5s8a/seed=0 --run|--skip --reason TEXT",
]
CHOICE = [
    "final is WAITING (orch): waits for a slot",
    "follows: train/lr=0.01, until it is submitted, decided at 2026-11-28 10:29:00",
    "  the least loss of train",
    "    train/lr=0.1: 2",
    "    train/lr=0.01: 1 <- this one",
    "to start it again from its newest checkpoint: orch cancel --job final, then orch retry --job "
    "final",
]


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize(("name", "lines"), [("gate", GATE), ("choice", CHOICE)])
def test_what_a_line_is_about_stands_beside_it(name, lines, width):
    told = explained(lines, Screen(width, 24), "–", "dim")
    matches(f"why-{name}-{width}", told, None if width == 40 else width)


def test_into_a_pipe_the_lines_go_as_they_are():
    assert plain(explained(GATE, Screen())) == "\n".join(GATE) + "\n"
    assert plain(listed(["a  b"], "·", "", Screen())) == "a  b\n"


@given(
    st.lists(st.text("abc /:=,()é日", min_size=1, max_size=60).map(str.strip).filter(bool)),
    st.integers(30, 90),
)
def test_no_word_is_lost_or_broken(texts, width):
    lines = ["a/b=1 is FAILED (squeue)", *texts, "needs it", "log: /x", "  within", "    j: 1, no"]
    told = plain(explained(lines, Screen(width, 24), "✗", "red"))
    words = re.findall(r"[^\s:]+", "\n".join(lines))
    assert not [word for word in words if word not in told]
    longest = max(cell_len(word) for word in "\n".join(lines).split())
    assert all(cell_len(line) <= max(width, longest + 24) for line in told.splitlines())


def test_a_list_has_a_sign_each_and_further_lines_below_the_words():
    told = plain(listed(["one two three", "four"], "·", "dim", Screen(9)))
    assert told == "· one two\n  three\n· four\n"


JUDGED = [
    {"domain": "code", "task": "", "n": "60", "difference": "-0.05", "low": "-0.117", "high": "0"},
    {"domain": "math", "task": "", "n": "57", "difference": "0.2", "low": "0.1", "high": "0.3"},
    {"domain": "math", "task": "algebra", "n": "0", "missing": "no problem was scored in both"},
    {"domain": "macro mean", "task": "", "n": "117", "difference": "0.075", "low": "0", "high": ""},
]
MEASURED = [
    {"metric": "val_loss", "stage": "train", "setting": f"lr={lr}", "difference": "-0.0123"}
    for lr in (0.1, 0.01)
]


def filled(row: dict[str, str], keys: tuple[str, ...]) -> dict[str, str]:
    """A line of table.csv, where what is not there is an empty cell."""
    numbers = {"baseline": "0.5", "treatment": "0.75", "p_adjusted": "0.0004", "pairs": "3"}
    return {**dict.fromkeys(keys, ""), **({} if "missing" in row else numbers), **row}


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        (
            "judged",
            [filled(row, ("minimum_detectable", "missing", "low", "high")) for row in JUDGED],
        ),
        ("measured", [filled(row, ("low", "high", "verdict", "missing")) for row in MEASURED]),
    ],
)
def test_a_comparison_fits_the_terminal(name, rows, width):
    for row in rows:
        for key in ("baseline", "treatment", "difference", "p_adjusted"):
            row.setdefault(key, "")
    headline = "accuracy: the 117 problems cannot tell pcgrad from baseline: +7.5 points"
    lines = comparison_lines(headline, rows, ["cost of train: no cost.json"], Screen(width, 24))
    matches(f"compare-{name}-{width}", lines, width)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_what_an_evolution_follows_is_a_table_and_the_rest_stands_below(width):
    lines = [
        f"train/lr={lr},width=16,seed={seed}: 2 checkpoints on disk, {seed} new to the evolution, "
        f"{seed} to score"
        for lr in ("0.001", "0.03")
        for seed in (0, 1)
    ]
    rest = "code: engines/shared/reporting/look.py changed since the last launch; what is submitted"
    told = followed([lines[0], rest, *lines[1:]], Screen(width))
    matches(f"evolve-{width}", told, width)
    # A folder that is followed has no axes.
    path = "/data/my,runs/step=9/checkpoints"
    alone = plain(
        followed(
            [f"{path}: 3 checkpoints on disk, 3 new to the evolution, 0 to score"], Screen(200)
        )
    )
    assert path in alone


def test_what_ran_stands_beside_its_names_and_paths_are_those_of_the_terminals_folder() -> None:
    lines = [
        "train/seed=1 is FAILED (exit record, 1 s ago): NaN: loss is nan",
        "ran: python train.py --seed 1",
        "attempt: 1, by the launch of 2026-11-29 19:51:03: code 41ed86ef, no git repository",
        "files: 2, each with its hash in /home/ada/work/runs/slope/full-1/bases/7a0343c0e5cfd0aa.json",
        "log: /home/ada/work/runs/slope/full-1/jobs/train.seed-1/attempt-1/log.txt",
    ]
    shown = plain(explained(lines, Screen(80, 24), "✗", "red", "/home/ada/work"))
    assert shown.splitlines()[1:] == [
        "ran      python train.py --seed 1",
        "attempt  1, by the launch of 2026-11-29 19:51:03: code 41ed86ef, no git",
        "         repository",
        "files    2, each with its hash in runs/slope/full-1/bases/7a0343c0e5cfd0aa.json",
        "log      runs/slope/full-1/jobs/train.seed-1/attempt-1/log.txt",
    ]
    # A program gets each path whole.
    assert plain(explained(lines, Screen(), here="/home/ada/work")) == "\n".join(lines) + "\n"
