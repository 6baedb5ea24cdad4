"""The work of planning grows with the jobs of a plan, and what would grow with their square is
refused."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import DescriptionError
from orchestrator.views.plan import plan_lines
from tests.support.builders import planned
from tests.support.work import is_linear


def seeds(count: int) -> dict[str, Any]:
    return {"seed": list(range(count))}


def replaced(count: int) -> dict[str, Any]:
    """Each job in the place of another one, with jobs that follow."""
    replace = [
        {"where": {"seed": seed}, "by": {"seed": seed + 100_000}, "reason": "did not learn"}
        for seed in range(count)
    ]
    base = {"command": "t {seed}", "matrix": seeds(count), "replace": replace}
    return {"base": base, "tune": {"for_each": "base", "command": "u {seed}"}}


def gated(count: int) -> dict[str, Any]:
    """Each job judged by the one of its own seed."""
    metrics = {"loss": {"better": "lower"}}
    gate = {"metric": "loss", "of": "base", "at_most": 1, "where": {"seed": "{seed}"}}
    return {
        "base": {"command": "t {seed}", "matrix": seeds(count), "metrics": metrics},
        "next": {"command": "u {seed}", "matrix": seeds(count), "when": gate},
    }


def excluded(count: int) -> dict[str, Any]:
    """Below each parent one value is left out."""
    below = {
        "for_each": "base",
        "command": "u {seed} {x}",
        "matrix": {"x": [1, 2]},
        "exclude": [{"seed": seed, "x": 2} for seed in range(count)],
    }
    return {"base": {"command": "t {seed}", "matrix": seeds(count)}, "below": below}


def paired(count: int) -> dict[str, Any]:
    """Parents whose values begin pairs."""
    pairs = [[n, n + 1] for n in range(count)]
    return {
        "base": {"command": "t {first}", "matrix": {"first": list(range(count))}},
        "both": {"for_each": "base", "command": "u {first} {second}", "pairs": pairs},
    }


def many_stages(count: int) -> dict[str, Any]:
    """A stage for each job, in the wrong order."""
    stages = {f"s{n}": {"command": f"t {n}", "after": f"s{n + 1}"} for n in range(count - 1)}
    return {**stages, f"s{count - 1}": {"command": "last"}}


def best_of_all(count: int) -> dict[str, Any]:
    """Few jobs after the best of many."""
    tried = {
        "command": "t {seed}",
        "matrix": seeds(count),
        "metrics": {"loss": {"better": "lower"}},
    }
    follow = {"for_each": {"of": "base", "best": "loss"}, "command": "u"}
    return {"base": tried, "follow": follow}


@pytest.mark.parametrize("stages", [replaced, gated, excluded, paired, many_stages, best_of_all])
def test_twice_the_jobs_are_twice_the_work(stages: Any, tmp_path: Path) -> None:
    def plan(count: int) -> None:
        made = planned({"experiment": "e", "stages": stages(count)}, tmp_path)
        if stages is not many_stages:  # what comes before each of them is listed
            plan_lines(made, every=True)

    assert is_linear(plan, 40)


def test_what_each_of_many_jobs_hangs_on_is_bounded(tmp_path: Path) -> None:
    metrics = {"loss": {"better": "lower"}}
    base = {"command": "t {seed}", "matrix": seeds(1500), "metrics": metrics}
    matrix = {"n": list(range(1000))}
    best = {"for_each": {"of": "base", "best": "loss"}, "command": "u {n}", "matrix": matrix}
    with pytest.raises(DescriptionError) as error:
        planned({"experiment": "e", "stages": {"base": base, "follow": best}}, tmp_path)
    (line,) = error.value.lines
    assert "stage 'follow': for_each: its 1000 jobs hang on 1500000 results" in line
    gates = [
        {"metric": "loss", "of": "base", "at_most": 1},
        {"metric": "loss", "of": "base", "at_most": 1, "where": {"seed": "{seed}"}},
    ]
    next_ = {"command": "u {seed}", "matrix": seeds(1000), "when": gates}
    with pytest.raises(DescriptionError) as error:
        planned({"experiment": "e", "stages": {"base": base, "next": next_}}, tmp_path)
    (line,) = error.value.lines
    assert "stage 'next': when: its 1000 jobs hang on" in line
