"""The picture of a sweep: which kind, where values lie, and that the best one is marked."""

import itertools
import re
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from engines.shared.reporting.look import Look
from jobs.ranking import Tried, ranked, varying
from jobs.stages import Point
from orchestrator.views.page.sweep import Colours, Scale, sweep


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


def pictures(rows: list[Tried]) -> list[str]:
    drawn = sweep(ranked(rows, False), "name")
    for one in drawn:
        ElementTree.fromstring(one)
    return drawn


def places(drawn: str, kind: str) -> list[tuple[float, float]]:
    """Where dots of a radius, or bars, lie."""
    pattern = rf'cx="([\d.-]+)" cy="([\d.-]+)" r="{kind}"'
    if kind == "bar":
        pattern = r'class="bar" d="M([\d.-]+) ([\d.-]+)h'
    return [(float(x), float(y)) for x, y in re.findall(pattern, drawn)]


def test_one_axis_is_dots_two_are_lines_and_three_are_a_picture_each() -> None:
    rows = [tried({"lr": lr, "seed": s}, lr + s) for lr in (1, 2, 3) for s in (0, 1)]
    (one,) = pictures(rows)
    # Three means, six seeds, the ring.
    assert one.count("<circle") == 10
    (two,) = pictures([tried({"lr": lr, "arm": arm}, lr) for lr in (1, 2, 3) for arm in "ab"])
    assert two.count("<polyline") == 2
    assert "arm=b" in two
    axes: list[Point] = [
        {"lr": lr, "arm": arm, "width": w} for lr in (1, 2) for arm in "ab" for w in (4, 8)
    ]
    three = pictures([tried(point, index) for index, point in enumerate(axes)])
    assert [re.findall(r'aria-label="name, by (\w+)"', drawn) for drawn in three] == [
        ["lr"],
        ["arm"],
        ["width"],
    ]
    for drawn in (one, two, *three):
        assert drawn.count('class="best"') == 1


def test_the_mark_lies_on_the_best_setting_and_missing_values_are_not_drawn() -> None:
    axes: list[Point] = [{"a": a, "b": b, "c": c} for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    values = [5.0, 4.0, None, 1.0, 7.0, 8.0, 9.0, 6.0]
    rows = [tried(point, value) for point, value in zip(axes, values, strict=True)]
    for drawn, side in zip(pictures(rows), (min, max, max), strict=True):
        dots = places(drawn, "3.5")
        assert len(dots) == 7
        (best,) = places(drawn, "7")
        # The lowest loss at the bottom, where a is 0 and b and c are 1.
        assert best in dots
        assert best[1] == max(y for _, y in dots)
        assert best[0] == side(x for x, _ in dots)


def test_a_bar_is_the_mean_over_what_all_values_of_its_axis_share() -> None:
    """Plain means would put the narrow one first, since the worst of the wide one's jobs died."""
    rows = []
    for lr, arm, width in itertools.product((1, 2, 3), "ab", (4, 8)):
        died = lr == 3 and width == 4
        rows.append(tried({"lr": lr, "arm": arm, "w": width}, None if died else float(lr)))
    by_width = pictures(rows)[2]
    heights = [y for _, y in places(by_width, "bar")]
    assert len(heights) == 2
    assert heights[0] == heights[1]


def test_an_axis_that_has_the_colours_in_other_pictures_has_them_here_too() -> None:
    rows = [tried({"lr": lr, "arm": arm}, lr) for lr in (1, 2) for arm in "abc"]
    (alone,) = pictures(rows)
    assert "lr=1" in alone
    colours = Colours("arm", {"a": Look(2), "b": Look(4), "c": Look(0)})
    (drawn,) = sweep(ranked(rows, False), "name", frozenset(), colours)
    found = re.findall(r'stroke="(var[^"]+)"[^>]*/><text[^>]*>(arm=.)', drawn)
    assert found == [("var(--c3)", "arm=a"), ("var(--c5)", "arm=b"), ("var(--c1)", "arm=c")]


def test_of_points_that_were_drawn_at_random_there_are_dots_and_no_bars() -> None:
    rows = [tried({"lr": 0.1 / (n + 1), "momentum": n / 7, "drop": n / 9}, n) for n in range(9)]
    drawn = pictures(rows)
    assert len(drawn) == 3
    assert all(len(places(one, "3.5")) == 9 and not places(one, "bar") for one in drawn)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 10), min_size=2, max_size=9), st.integers(1, 3))
def test_everything_drawn_lies_inside_and_a_loss_has_no_axis_below_0(
    values: list[float], axes: int
) -> None:
    rows = [
        tried({f"x{axis}": (number * (axis + 1)) % 5 + axis for axis in range(axes)}, value)
        for number, value in enumerate(values)
    ]
    for drawn in pictures(rows):
        tree = ElementTree.fromstring(drawn)
        width, height = float(tree.attrib["width"]), float(tree.attrib["height"])
        for x, y in places(drawn, "3.5"):
            assert 0 <= x <= width
            assert 0 <= y <= height
        assert "\N{MINUS SIGN}" not in "".join(tree.itertext())


def test_values_of_an_axis_that_lie_close_are_not_written_over_each_other() -> None:
    scale = Scale((0.001, 0.0011, 0.0012, 0.5, 1))
    marks = scale.marks(280)
    assert marks[0][1] == "0.001"
    assert marks[-1][1] == "1"
    for (place, words), (after, others) in itertools.pairwise(marks):
        assert (after - place) * 280 >= (len(words) + len(others)) / 2 * 6


def test_with_nothing_to_compare_there_is_no_picture() -> None:
    assert sweep(ranked([tried({"lr": 1, "seed": 0}, 1.0)], True), "n") == []
    assert varying(ranked([tried({"lr": 1}, 1.0), tried({"lr": True}, 1.0)], True)) == ["lr"]


def test_the_number_of_a_point_is_no_axis_of_the_picture() -> None:
    rows = [tried({"lr": 10**-n, "point": n}, float(n)) for n in range(4)]
    alone = [tried({"lr": 10**-n}, float(n)) for n in range(4)]
    assert sweep(ranked(rows, False), "name", {"point"}) == pictures(alone)
    assert pictures(rows) != pictures(alone)


def test_a_picture_of_one_value_of_the_coloured_axis_has_its_colour() -> None:
    rows = [tried({"lr": 0.03, "width": width}, width) for width in (4, 16)]
    rows += [tried({"lr": 0.001, "width": width}, None) for width in (4, 16)]
    found = ranked(rows, False)
    colours = Colours("lr", {"0.001": Look(0), "0.03": Look(1)})
    (drawn,) = sweep(found, "error", colours=colours)
    assert Look(1).css in drawn
    assert Look(0).css not in drawn
    (alone,) = sweep(found, "error", colours=Colours("width", colours.looks))
    assert Look(0).css in alone
