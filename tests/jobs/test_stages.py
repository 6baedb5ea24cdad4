"""Points of a matrix: looked up, and not compared one by one, with the same result."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobs.stages import PAIR_AXES, Entries, fits, points, points_of_each

SCALARS = st.sampled_from([0, 1, True, False, 1.0, "1", "a"])
AXES = st.sampled_from(["first", "second", "seed", "lr"])
POINTS = st.dictionaries(AXES, SCALARS, max_size=3)


@given(st.lists(POINTS, max_size=6), POINTS)
def test_an_entry_fits_where_all_of_its_values_are_those_of_the_point(
    entries: list[dict[str, Any]], point: dict[str, Any]
) -> None:
    wanted = [number for number, entry in enumerate(entries) if fits(point, entry)]
    assert Entries(entries).fitting(point) == wanted


@given(
    st.lists(st.tuples(SCALARS, SCALARS), max_size=5),
    st.lists(st.dictionaries(AXES, SCALARS, max_size=2), min_size=1, max_size=4),
    st.lists(POINTS.filter(bool), max_size=3),
)
def test_the_points_below_each_parent_are_those_whose_pair_is_the_parents(
    pairs: list[Any], parents: list[dict[str, Any]], exclude: list[dict[str, Any]]
) -> None:
    each = list(points_of_each({"n": [1, 2]}, exclude, parents, pairs))
    wanted = []
    for parent in parents:
        below = []
        for pair in [dict(zip(PAIR_AXES, pair, strict=True)) for pair in pairs] or [{}]:
            for n in (1, 2):
                point = {**parent, **pair, "n": n}
                if fits(point, parent) and not any(fits(point, entry) for entry in exclude):
                    below.append(point)
        wanted.append(below)
    assert each == wanted
    assert points({"n": [1, 2]}, exclude, parents, pairs) == [one for part in each for one in part]
