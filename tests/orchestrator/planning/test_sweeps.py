"""Axes that go together and points that are drawn at random."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.draws import Draw, draw
from orchestrator.errors import DescriptionError
from tests.support.builders import planned

RATE = Draw(kind="log_uniform", among=(1e-4, 1e-1))
WIDTH = Draw(kind="integers", among=(1, 1000))


def names(folder: Path, stage: dict[str, Any]) -> list[str]:
    plan = planned({"experiment": "e", "stages": {"train": stage}}, folder)
    return [job.name.removeprefix("train/") for job in plan.jobs]


def refused(folder: Path, **stage: Any) -> list[str]:
    with pytest.raises(DescriptionError) as error:
        planned({"experiment": "e", "stages": {"train": {"command": "t", **stage}}}, folder)
    return list(error.value.lines)


def test_zipped_axes_go_together_and_the_others_multiply(tmp_path: Path) -> None:
    stage = {
        "command": "train {lr} {width} {seed}",
        "zip": {"lr": [0.1, 0.01], "width": [4, 64]},
        "matrix": {"seed": [0, 1]},
        "exclude": [{"lr": 0.1, "seed": 1}],
    }
    assert names(tmp_path, stage) == [
        "lr=0.1,width=4,seed=0",
        "lr=0.01,width=64,seed=0",
        "lr=0.01,width=64,seed=1",
    ]


def test_zipped_values_set_the_config_of_an_engine(tmp_path: Path) -> None:
    stage = {
        "engine": "fsm",
        "zip": {"epochs": [3, 5], "size": {"small": {"layers": 1}, "large": {"layers": 2}}},
    }
    stage["zip"]["size"] = {  # type: ignore[index]
        "small": {"architecture": {"kind": "rnn", "width": 4, "layers": 1}},
        "large": {"architecture": {"kind": "rnn", "width": 8, "layers": 1}},
    }
    plan = planned({"experiment": "e", "stages": {"train": stage}}, tmp_path)
    found = [(job.config["epochs"], job.config["architecture"]["width"]) for job in plan.jobs]
    assert found == [(3, 4), (5, 8)]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**40))
def test_more_points_begin_with_fewer_and_another_axis_changes_no_value(
    few: int, more: int, seed: int
) -> None:
    axes = {"lr": RATE, "width": WIDTH}
    longer = draw(few + more, seed, axes)
    assert longer[:few] == draw(few, seed, axes)
    assert len({tuple(point.items()) for point in longer}) == few + more
    wider = draw(few, seed, {"other": Draw(kind="uniform", among=(0, 1)), **axes})
    assert [point["lr"] for point in wider] == [point["lr"] for point in longer[:few]]


@given(
    st.floats(-1e6, 1e6, allow_nan=False),
    st.floats(1e-6, 1e6),
    st.sampled_from(["uniform", "log_uniform", "integers"]),
    st.floats(0, 1, exclude_max=True),
)
def test_values_lie_in_their_range(low: float, span: float, kind: Any, share: float) -> None:
    if kind == "integers":
        low, span = float(int(low)), math.ceil(span)
    if kind == "log_uniform":
        low = abs(low) + 1e-6
    one = Draw(kind=kind, among=(low, low + span))
    if low + span > low:
        assert low <= float(one.value(share)) <= low + span


def test_the_distributions_are_what_their_names_say() -> None:
    points = draw(2000, 1, {"lr": RATE, "part": Draw(kind="uniform", among=(0, 2))})
    # Of three powers of ten each has a third; standard deviation of the share: 0.0105.
    middle = sum(1e-3 <= float(point["lr"]) < 1e-2 for point in points) / 2000
    assert abs(middle - 1 / 3) < 0.05
    # The mean of a uniform number from 0 to 2 is 1, with a standard error of 0.013.
    assert abs(sum(float(point["part"]) for point in points) / 2000 - 1) < 0.06
    # Few digits: such a name can be read.
    assert all(len(str(point["lr"])) <= 8 for point in points)
    bits = draw(400, 1, {"seed": WIDTH, "bit": Draw(kind="choice", among=("a", "b"))})
    assert abs(sum(point["bit"] == "a" for point in bits) / 400 - 0.5) < 0.13


def test_random_points_multiply_with_seeds_and_can_be_excluded(tmp_path: Path) -> None:
    stage: dict[str, Any] = {
        "command": "train {lr} {seed}",
        "random": {"n": 3, "seed": 7, "axes": {"lr": {"log_uniform": [1e-4, 0.1]}}},
        "matrix": {"seed": [0, 1]},
    }
    found = names(tmp_path, stage)
    rates = [point["lr"] for point in draw(3, 7, {"lr": RATE})]
    assert found == [f"lr={rate},seed={seed}" for rate in rates for seed in (0, 1)]
    kept = names(tmp_path, {**stage, "exclude": [{"lr": rates[1]}]})
    assert kept == [name for name in found if f"lr={rates[1]}," not in name]


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"zip": {"a": [1, 2], "b": [1]}}, "as many values as the others, got a 2, b 1"),
        ({"zip": {"a": [1, 2]}}, "one belongs to 'matrix'"),
        ({"zip": {"a": [1, 1], "b": [2, 2]}}, "zip: a=1, b=2 is there twice"),
        ({"zip": {"a": [1, 2], "b": [1, 2]}, "matrix": {"a": [3]}}, "comes from 'zip' already"),
        ({"random": {"axes": {"a": {"choice": [1]}}}}, "'n' is missing"),
        ({"random": {"n": 3, "axes": {"a": {"choice": [1, 2]}}}}, "no more than 2 different"),
        ({"random": {"n": 1, "axes": {"a": {"uniform": [2, 1]}}}}, "got [2, 1]"),
        ({"random": {"n": 1, "axes": {"a": {"log_uniform": [0, 1]}}}}, "begin above 0"),
        ({"random": {"n": 1, "axes": {"a": {"integers": [0, 1.5]}}}}, "two whole numbers"),
        ({"random": {"n": 1, "axes": {"a": {"normal": [0, 1]}}}}, "normal"),
        ({"random": {"n": 1, "axes": {"a": {}}}}, "one of uniform, log_uniform"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, stage: Any, said: str) -> None:
    lines = refused(tmp_path, **stage)
    assert len(lines) == 1
    assert said in lines[0]
    assert "x.yaml:" in lines[0]
