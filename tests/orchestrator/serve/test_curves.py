"""Fewer points show the same peaks."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.serve.curves import extremes

VALUES = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=900)


@given(VALUES, st.integers(4, 40))
def test_thinned_points_are_some_of_them_with_both_ends_and_all_extremes(
    values: list[float], most: int
) -> None:
    points = [(float(step), value) for step, value in enumerate(values)]
    kept = extremes(points, most)
    assert len(kept) <= max(most, 1)
    assert set(kept) <= set(points)
    assert kept == sorted(kept)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    drawn = [value for _, value in kept]
    assert (min(drawn), max(drawn)) == (min(values), max(values))
    if len(points) <= most:
        assert kept == points
