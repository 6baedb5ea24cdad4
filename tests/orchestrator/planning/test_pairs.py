"""Pairs of values as two axes: how many, in which order, and joined to the axis of a parent."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.stages import ordered_pairs, points, unordered_pairs
from orchestrator.errors import DescriptionError
from tests.support.builders import planned

SEVEN = ["distance", "trianglearea", "angle", "compass", "inside", "perimeter", "crossing"]
LISTED = [["crossing", "distance"], ["angle", "compass"], ["distance", "crossing"]]


def names(folder: Path, **stages: Any) -> list[str]:
    return [job.name for job in planned({"experiment": "e", "stages": stages}, folder).jobs]


def refused(folder: Path, **stages: Any) -> list[str]:
    with pytest.raises(DescriptionError) as error:
        planned({"experiment": "e", "stages": stages}, folder)
    return list(error.value.lines)


def test_of_seven_values_there_are_42_ordered_and_21_unordered_pairs(tmp_path: Path) -> None:
    command = "tune {first} {second}"
    ordered = names(tmp_path, tune={"command": command, "pairs": {"ordered": SEVEN}})
    unordered = names(tmp_path, tune={"command": command, "pairs": {"unordered": SEVEN}})
    assert (len(set(ordered)), len(set(unordered))) == (42, 21)
    assert set(unordered) < set(ordered)
    assert "tune/first=crossing,second=distance" in ordered
    assert "tune/first=crossing,second=distance" not in unordered


def test_listed_pairs_keep_their_order_and_vary_before_the_matrix(tmp_path: Path) -> None:
    stage = {"command": "tune {first} {second} {lr}", "pairs": LISTED, "matrix": {"lr": [1, 2]}}
    assert names(tmp_path, tune=stage) == [
        f"tune/first={first},second={second},lr={lr}" for first, second in LISTED for lr in (1, 2)
    ]


def test_below_a_parent_with_the_axis_first_each_job_gets_the_pairs_of_its_value(
    tmp_path: Path,
) -> None:
    plan = planned(
        {
            "experiment": "e",
            "stages": {
                "base": {"command": "train {first}", "matrix": {"first": SEVEN}},
                "tune": {"for_each": "base", "command": "t {second}", "pairs": {"ordered": SEVEN}},
            },
        },
        tmp_path,
    )
    tuned = [job for job in plan.jobs if job.stage == "tune"]
    assert len(tuned) == 42
    assert all(job.after == (f"base/first={job.axes['first']}",) for job in tuned)


@given(st.lists(st.integers(0, 9), min_size=2, unique=True))
def test_each_unordered_pair_stands_for_two_ordered_ones(values: list[int]) -> None:
    ordered, unordered = ordered_pairs(values), unordered_pairs(values)
    assert sorted([*unordered, *((b, a) for a, b in unordered)]) == sorted(ordered)
    assert len({frozenset(pair) for pair in unordered}) == len(unordered)
    assert len(points({}, (), [{}], ordered)) == len(values) * (len(values) - 1)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (4, "'pairs' must be such as [[a, b], [a, c]]"),
        ([], "'pairs' must be such as"),
        ([["a"]], "'pairs' must be such as"),
        ([["a", ["b"]]], "'pairs' must be such as"),
        ({"ordered": ["a"]}, "'pairs' must be such as"),
        ({"sorted": ["a", "b"]}, "'pairs' must be such as"),
        ([["a", "b"], ["a", "b"]], "pairs: [a, b] is there twice; remove one"),
        ([["a", "a"]], "pairs: [a, a] pairs a value with itself"),
    ],
)
def test_wrong_pairs_are_one_line(tmp_path: Path, pairs: Any, said: str) -> None:
    (line,) = refused(tmp_path, tune={"command": "echo", "pairs": pairs})
    assert said in line


def test_an_axis_of_the_same_name_and_a_value_that_no_parent_has_are_refused(
    tmp_path: Path,
) -> None:
    both = {"command": "t", "pairs": [["a", "b"]], "matrix": {"first": ["a"]}}
    (line,) = refused(tmp_path, tune=both)
    assert "axis 'first' comes from 'pairs' already; rename it" in line
    (line,) = refused(
        tmp_path,
        base={"command": "train {first}", "matrix": {"first": ["a", "b"]}},
        tune={"for_each": "base", "command": "t {second}", "pairs": {"ordered": ["a", "b", "d"]}},
    )
    assert "pairs: axis 'first' of 'base' has no value 'd'; its values: 'a', 'b'" in line
