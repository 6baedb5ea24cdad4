"""The picture of a sweep: which kind, where values lie, and that the best one is marked."""

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from jobs.ranking import Tried, ranked, varying
from jobs.stages import Point
from orchestrator.views.page.sweep import Scale, sweep


def tried(axes: Point, value: float | None) -> Tried:
    return Tried(job="a", axes=axes, value=value, why="" if value is not None else "FAILED")


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.none() | st.floats(-10, 10)),
        min_size=1,
        max_size=20,
        unique_by=lambda one: one[:2],
    ),
    st.booleans(),
)
def test_settings_stand_by_their_means_and_those_without_values_last(
    rows: list[tuple[int, int, float | None]], higher: bool
) -> None:
    found = ranked([tried({"n": n, "seed": seed}, value) for n, seed, value in rows], higher)
    means = [one.mean for one in found]
    there = [mean for mean in means if mean is not None]
    assert there == sorted(there, reverse=higher)
    assert means == there + [None] * (len(means) - len(there))
    assert sum(len(one.tried) for one in found) == len(rows)
    assert all("seed" not in one.axes for one in found)


def test_the_spread_is_the_standard_deviation_of_a_sample() -> None:
    (one,) = ranked([tried({"seed": seed}, value) for seed, value in enumerate((1.0, 3.0))], True)
    assert (one.mean, one.spread) == (2.0, 2.0**0.5)


@given(st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=9, unique=True))
def test_numbers_lie_between_the_ends_in_their_order(values: list[float]) -> None:
    scale = Scale(tuple(sorted(values)))
    places = [scale.place(value) for value in scale.values]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0.0, 1.0)


def picture(rows: list[Tried], metric: str = "loss") -> str:
    drawn = sweep(ranked(rows, False), metric, "name")
    ElementTree.fromstring(drawn)
    return drawn


def test_one_axis_is_dots_two_are_lines_and_three_are_parallel_coordinates() -> None:
    one = picture([tried({"lr": lr, "seed": s}, lr + s) for lr in (1, 2, 3) for s in (0, 1)])
    # Three means, six seeds, the ring.
    assert one.count("<circle") == 10
    two = picture([tried({"lr": lr, "arm": arm}, lr) for lr in (1, 2, 3) for arm in "ab"])
    assert two.count("<polyline") == 2
    assert "arm=b" in two
    axes: list[Point] = [
        {"lr": lr, "arm": arm, "width": w} for lr in (1, 2) for arm in "ab" for w in (4, 8)
    ]
    three = picture([tried(point, index) for index, point in enumerate(axes)])
    assert three.count("<polyline") == 8
    for drawn in (one, two, three):
        assert drawn.count('class="best"') == 1


def test_the_marked_line_is_the_best_setting_and_missing_values_are_not_drawn() -> None:
    axes: list[Point] = [{"a": a, "b": b, "c": c} for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    values = [5.0, 4.0, None, 1.0, 7.0, 8.0, 9.0, 6.0]
    rows = [tried(point, value) for point, value in zip(axes, values, strict=True)]
    drawn = picture(rows)
    assert drawn.count("<polyline") == 7
    found = re.search(r'class="best"><polyline[^>]*points="([^"]*)"', drawn)
    assert found is not None
    ys = [float(number) for number in found[1].split()[1::2]]
    # a=0, b=1, c=1, and the lowest loss at the bottom.
    assert ys[0] > ys[1]
    assert ys[1] == ys[2]
    assert ys[3] == max(ys[1:])


def test_with_nothing_to_compare_there_is_no_picture() -> None:
    assert sweep(ranked([tried({"lr": 1, "seed": 0}, 1.0)], True), "loss", "n") == ""
    assert varying(ranked([tried({"lr": 1}, 1.0), tried({"lr": True}, 1.0)], True)) == ["lr"]


def test_the_number_of_a_point_is_no_axis_of_the_picture() -> None:
    rows = [tried({"lr": 10**-n, "point": n}, float(n)) for n in range(4)]
    alone = [tried({"lr": 10**-n}, float(n)) for n in range(4)]
    assert sweep(ranked(rows, False), "loss", "name", {"point"}) == picture(alone)
    assert picture(rows) != picture(alone)
