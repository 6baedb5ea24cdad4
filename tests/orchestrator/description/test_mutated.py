"""Whatever people write is taken, or refused in lines that help: of what once was not, and of some
thousands of mutated inputs. `make fuzz` tries as many as an hour has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from engines.contract.config import ConfigError
from orchestrator.errors import OrchError
from tests.support.fuzz.corpus import CORPUS, STAGE
from tests.support.fuzz.seeds import SEEDS
from tests.support.fuzz.written import ENDLESS, KINDS, complaint, mutated, of_lines, reshaped, sound

SEEDED = [(kind, which) for kind in KINDS for which in range(len(SEEDS[kind]))]
CHANGES = st.lists(st.tuples(*[st.integers(0, (1 << 20) - 1)] * 3), min_size=1, max_size=4)
EXAMPLES = 800
"""Of each of the two ways to change: some seconds of CPU."""


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def told(kind: str, content: bytes) -> list[str]:
    try:
        KINDS[kind](content)
    except OrchError as error:
        return list(error.lines)
    except ConfigError as error:
        return [str(error)]
    return []


@pytest.mark.parametrize(("kind", "which"), SEEDED)
def test_what_is_mutated_is_sound(kind: str, which: int) -> None:
    assert told(kind, sound(kind, which)) == []


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    CORPUS,
    ids=[f"{n}-{kind}" for n, (kind, _, _) in enumerate(CORPUS)],
)
def test_what_once_ended_badly_is_told(kind: str, content: bytes, words: str) -> None:
    # The modules of an engine are loaded when its first config is checked.
    if b"engine:" in content or kind in ("config", "json_config"):
        told(kind, sound(kind, 0))
    assert complaint(kind, content) is None
    lines = told(kind, content)
    here = f"{Path.cwd()}{os.sep}"
    assert bool(lines) == bool(words)
    if words:
        assert any(line.replace(here, "").startswith(words) for line in lines), lines


FUZZED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@seed(1)
@FUZZED
@given(st.sampled_from(SEEDED), CHANGES)
def test_mutated_text_is_taken_or_refused_in_lines_that_help(
    seeded: tuple[str, int], changes: list[tuple[int, int, int]]
) -> None:
    kind, which = seeded
    assert complaint(kind, mutated(sound(kind, which), changes)) is None


@seed(1)
@FUZZED
@given(st.sampled_from(SEEDED), CHANGES)
def test_mutated_values_are_taken_or_refused_in_lines_that_help(
    seeded: tuple[str, int], changes: list[tuple[int, int, int]]
) -> None:
    assert complaint(seeded[0], reshaped(*seeded, changes)) is None


def test_complaints_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge of the tests above sees what it is there for."""
    assert of_lines(["x.yaml:3: stage 'a': wrong"], b"") is None
    assert str(of_lines(["stage 'a': wrong"], b"")).startswith("no place")
    assert str(of_lines(["x.yaml:3: a\nb"], b"")).startswith("more than a line")
    assert str(of_lines(["x.yaml:3: " + "ab" * 200], b"ab" * 300)).startswith("more than 300")
    assert of_lines(["x.yaml:3: a"] * 22, b"") == "22 lines"

    def raising(content: bytes) -> None:
        raise AttributeError("strip")

    def endless(content: bytes) -> None:
        while True:
            pass

    monkeypatch.setitem(KINDS, "experiment", raising)
    assert str(complaint("experiment", STAGE)).startswith("AttributeError in raising")
    monkeypatch.setitem(KINDS, "experiment", endless)
    monkeypatch.setattr("tests.support.fuzz.written.MOST_SECONDS", 0.1)
    assert complaint("experiment", STAGE) == ENDLESS


def test_of_many_mistakes_the_first_are_told_and_how_many_more() -> None:
    wrong = b"".join(b"    zz%d: 1\n" % n for n in range(30))
    lines = told("experiment", STAGE + wrong)
    assert len(lines) == 21
    assert lines[19].startswith("x.yaml:25: stage 'train': unknown key 'zz19'")
    assert lines[20] == "x.yaml:26: 10 more mistakes from here on; fix these first"
    wrong = b"".join(b"    zz%d: 1\n" % n for n in range(5000))
    assert told("experiment", STAGE + wrong)[20].startswith("x.yaml:26: more than 180 more")


def test_what_an_experiment_excludes_and_pairs_counts_by_parent() -> None:
    """Fifty parents with their own pairs are 2450 jobs, not 50 times as many."""
    names = ", ".join(f"t{n}" for n in range(50))
    content = (
        f"experiment: x\nstages:\n  a:\n    command: echo {{first}}\n    matrix: {{first: [{names}]}}\n"
        "  b:\n    command: echo {first} {second}\n    for_each: a\n"
        f"    pairs: {{ordered: [{names}]}}\n"
    )
    assert told("experiment", content.encode()) == []


def test_a_stage_of_many_jobs_after_many_is_told() -> None:
    many = ", ".join(map(str, range(5000)))
    content = (
        f"experiment: x\nstages:\n  a:\n    command: echo {{n}}\n    matrix: {{n: [{many}]}}\n"
        f"  b:\n    command: echo b {{n}}\n    matrix: {{n: [{many}]}}\n    after: a\n"
    )
    assert told("experiment", content.encode()) == [
        "x.yaml:9: stage 'b': each of its 5000 jobs would wait for 5000 others; put a stage of one "
        "job between the two"
    ]
