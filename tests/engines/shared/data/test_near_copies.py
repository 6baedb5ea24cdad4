"""Training problems that nearly repeat one of the evaluation are told, and what templates and
chance have in common is not."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.ppo.config import Config
from engines.ppo.data.contamination import check_test_data
from engines.shared.data.contamination import overlap
from engines.shared.data.miniature import DOMAINS, SIZES, splits
from engines.shared.data.near_copies import NearCopy, near_copies, near_pairs, told
from engines.shared.data.problem_files import read_problems, write_problems
from engines.shared.data.problems import Problem, make_problem, user
from tests.support.cli import orch

LONG = (
    "A farmer has three fields, of which the first is twice as large as the second, and the "
    "third is 12 hectares larger than both of them together. How large is the first field if "
    "all three have 60 hectares?"
)
SHORT = "How many ways are there to seat five guests at a round table?"
TEMPLATE = "Please put the final answer after thinking step by step within a pair of braces."


def problems(*questions: str) -> list[Problem]:
    return [make_problem("math__x", user(question), "1") for question in questions]


def found(training: list[str], tested: list[str]) -> list[NearCopy]:
    return near_copies({"math": problems(*training)}, problems(*tested))["math"]


@pytest.mark.parametrize(
    "copy",
    [
        LONG.replace("60", "90"),
        LONG.replace("farmer", "peasant").upper(),
        LONG.replace(",", ";").replace("?", "!"),
        f"Ada says: {LONG} Explain.",
        LONG.replace("the first is twice", "the first one is twice"),
        # The beginning alone.
        LONG[:120],
    ],
)
def test_a_long_problem_with_changes_is_a_near_copy(copy: str) -> None:
    (near,) = found(["What is two and two?", copy], [SHORT, LONG])
    assert near.problem.prompt[0]["content"] == copy
    assert near.other.prompt[0]["content"] == LONG
    assert 0.05 < near.share <= 1


def test_pairs_within_one_list_are_told_once_and_no_text_is_its_own_copy() -> None:
    changed = LONG.replace("60", "90")
    assert near_pairs([LONG, SHORT, changed, "What is two and two?"]) == {(0, 2)}
    # A part of it is a copy whichever of the two comes first.
    assert near_pairs([LONG[:120], LONG]) == near_pairs([LONG, LONG[:120]]) == {(0, 1)}


def test_one_changed_word_anywhere_in_a_short_problem_leaves_a_near_copy() -> None:
    words = SHORT.split()
    for place in range(len(words)):
        changed = " ".join([*words[:place], "other", *words[place + 1 :]])
        assert len(found([changed], [SHORT])) == 1, changed


@settings(max_examples=50)
@given(st.data())
def test_one_changed_word_anywhere_in_a_problem_of_any_length_leaves_a_near_copy(
    data: st.DataObject,
) -> None:
    words = [f"word{number}" for number in range(data.draw(st.integers(8, 80)))]
    changed = list(words)
    changed[data.draw(st.integers(0, len(words) - 1))] = "other"
    assert len(found([" ".join(changed)], [" ".join(words)])) == 1


def test_the_same_problem_is_no_near_copy_of_itself_or_of_another() -> None:
    assert found([LONG, f"  {LONG.upper()}", SHORT], [LONG, LONG.replace("60", "90"), SHORT]) == []


@pytest.mark.parametrize(
    ("training", "tested"),
    [
        ("What is the capital of France, and how many people live there?", SHORT),
        # A phrase of 13 words, of many.
        (f"{'Another question about numbers. ' * 9} {LONG[:75]}", f"{LONG} {LONG[::-1]} " * 2),
        # Formulas are alike by chance.
        ("3 + 4 x - 5 = 7, x = ?", "3 + 4 x - 5 = 7, y = ?"),
        ("Write f.", "Write g."),
    ],
)
def test_unlike_problems_are_none(training: str, tested: str) -> None:
    assert found([training], [tested]) == []


def test_what_many_problems_have_is_a_template() -> None:
    draw = random.Random(0)
    names = [f"name{number}" for number in range(3000)]

    def puzzle() -> str:
        houses = "There are five houses in a row, each of another colour, whose owners are "
        return f"{houses}{', '.join(draw.sample(names, 12))}. {TEMPLATE}"

    training = [puzzle() for _ in range(40)]
    assert found(training, [puzzle() for _ in range(20)]) == []
    # In a small set too: most of four problems have the sentence.
    others = ("Which whole number is the least of all?", "Why is the sky blue in the morning?")
    few = [f"{question} {TEMPLATE}" for question in (SHORT, LONG, *others)]
    assert found([f"What is it that nobody knows of a gas? {TEMPLATE}"], few) == []
    # And what is not of the template is still found.
    (near,) = found([*training, f"{LONG.replace('60', '90')} {TEMPLATE}"], [puzzle(), LONG])
    assert near.other.prompt[0]["content"] == LONG


def test_the_miniature_domains_have_none() -> None:
    for domain in DOMAINS:
        parts = splits(domain, SIZES, 0)
        assert near_copies({domain: parts["train"]}, parts["test"]) == {domain: []}


def test_they_are_told_with_the_nearest() -> None:
    near = near_copies(
        {
            "code": problems("Write f."),
            "math": problems(LONG[:120], LONG.replace("60", "90"), SHORT.replace("five", "six")),
        },
        problems(LONG, SHORT),
    )
    assert told(near).startswith("math 3; such as 'A farmer has three fields, of which the first")
    assert "which has 93% of the runs of words of 'A farmer has" in told(near)
    assert told({"math": []}) == ""


def test_a_training_tells_them_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_problems(tmp_path / "math.test.parquet", problems(LONG, SHORT))
    values = {"model": "m", "data": "d", "validation_data": "d", "test_data": str(tmp_path)}
    train = {"math": problems(LONG.replace("60", "90"), "What is two and two?")}
    facts = check_test_data(Config.model_validate(values), train, {})
    assert facts is not None
    assert facts["in_training"] == {"math": 0}
    assert facts["near_training"].startswith("math 1; such as 'A farmer")
    said = capsys.readouterr().out
    assert (
        said
        == f"warning: training nearly repeats problems of test_data: {facts['near_training']}\n"
    )


def test_a_comparison_and_a_preparation_tell_them_and_drop_nothing(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    # Of two near copies one comes into each split, whatever the seed: 1 of 2 is held out.
    write_problems(raw / "math__x.parquet", problems(LONG, LONG.replace("60", "90")))
    out = tmp_path / "out"
    command = ["data", "prepare", str(raw), "--out", str(out), "--validation", "0", "--test", "1"]
    for _ in range(2):
        done = orch(None, *command)
        assert done.returncode == 0, done.stderr
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("warning: ")]
        assert "validation or test; nothing was dropped: math 1; such as 'A farmer" in line
    assert [len(read_problems(out / f"math.{split}.parquet")) for split in ("train", "test")] == [
        1,
        1,
    ]
    found_there = overlap(str(out), str(out))
    assert found_there["in_training"] == {"math": 0}
    assert found_there["near_training"].startswith("math 1; such as 'A farmer")
