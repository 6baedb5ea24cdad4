"""Points that Optuna draws: the same for the same values, all different, and better than chance."""

import math
import statistics
from collections.abc import Callable
from dataclasses import replace

import pytest

from jobs.draws import Draw, draw
from jobs.searches import Search, Told, told
from jobs.stages import Point, value_text
from orchestrator.lifecycle.decided.drawing import draw_round

pytest.importorskip("optuna")

SPACE = {
    "lr": Draw(kind="log_uniform", among=(1e-5, 1.0)),
    "decay": Draw(kind="uniform", among=(0.0, 1.0)),
    "width": Draw(kind="integers", among=(1, 12)),
}


def search(axes: dict[str, Draw], **changes: object) -> Search:
    one = Search(
        metric="loss", higher=False, where={}, axes=axes, rounds=4, n=6, seed=0, command=None
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def bowl(point: Point) -> float:
    lr, decay, width = (float(point[axis]) for axis in ("lr", "decay", "width"))
    return (math.log10(lr) + 2.3) ** 2 + 4 * (decay - 0.3) ** 2 + 0.02 * (width - 6) ** 2


def searched(one: Search, value: Callable[[Point], float | None]) -> list[Told]:
    """All points of a search whose jobs leave these values."""
    known: list[Told] = []
    for number in range(1, one.rounds + 1):
        for point in draw_round(one, number, known):
            known.append(told(len(known), point, [value(point)], False))
    return known


def test_four_rounds_find_more_than_as_many_random_points() -> None:
    ratios = []
    for seed in range(12):
        one = search(SPACE, seed=seed)
        best = min(point.value or math.inf for point in searched(one, bowl))
        at_random = min(bowl(point) for point in draw(24, seed, SPACE))
        ratios.append(best / at_random)
    # The first six points are the same, and a coin would give nine of twelve or more in 7 of 100.
    assert sum(ratio < 1 for ratio in ratios) >= 9
    assert statistics.median(ratios) < 0.7


def test_the_same_values_lead_to_the_same_points_and_other_values_to_others() -> None:
    one = search(SPACE)
    known = searched(one, bowl)
    assert searched(one, bowl) == known
    assert [point.axes for point in known[:6]] == draw(6, 0, SPACE)
    # What is better decides, and not whether it is called higher or lower.
    upwards = searched(replace(one, higher=True), lambda point: -bowl(point))
    assert [point.axes for point in upwards] == [point.axes for point in known]
    others = searched(one, lambda point: -bowl(point))
    assert [point.axes for point in others[:6]] == [point.axes for point in known[:6]]
    assert [point.axes for point in others[6:]] != [point.axes for point in known[6:]]
    # Points without a value are known too: as ones that are there, or that died.
    half = [replace(point, value=None) if point.point % 2 else point for point in known[:6]]
    going = [replace(point, open=point.value is None) for point in half]
    drawn = {len({text(point) for point in draw_round(one, 2, told)}) for told in (half, going)}
    assert drawn == {6}


def text(point: Point) -> str:
    return ",".join(value_text(value) for value in point.values())


def test_a_space_of_names_is_used_up_without_a_point_twice() -> None:
    axes = {
        "width": Draw(kind="choice", among=(1, 1.0, True, "a")),
        "depth": Draw(kind="integers", among=(1, 3)),
    }
    one = search(axes, rounds=4, n=3)
    found = [point.axes for point in searched(one, lambda point: float(point["depth"]))]
    assert len({text(point) for point in found}) == 12
    assert {(type(point["width"]), point["width"]) for point in found} == {
        (int, 1),
        (float, 1.0),
        (bool, True),
        (str, "a"),
    }


def test_numbers_lie_in_their_range_and_have_few_digits() -> None:
    for point in searched(search(SPACE, seed=3), bowl):
        assert 1e-5 <= float(point.axes["lr"]) <= 1
        assert 0 <= float(point.axes["decay"]) <= 1
        assert type(point.axes["width"]) is int
        assert 1 <= point.axes["width"] <= 12
        assert all(len(value_text(value)) <= 8 for value in point.axes.values())


def test_a_search_goes_on_where_nothing_has_a_value() -> None:
    one = search(SPACE)
    points = draw_round(one, 1, [])
    dead = [told(number, point, [None], False) for number, point in enumerate(points)]
    assert len(draw_round(one, 2, dead)) == 6
