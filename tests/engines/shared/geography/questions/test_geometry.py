"""Answers against exact arithmetic, other programs, and their own symmetries."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial import Delaunay, QhullError

from engines.shared.geography.questions import geometry
from engines.shared.geography.questions.geometry import ANSWERS, answers
from engines.shared.geography.tasks import SECTORS

POINT = st.tuples(st.integers(-1800, 1800), st.integers(-900, 900))
SMALL = st.tuples(st.integers(0, 4), st.integers(0, 4))
"""Points among which many lie on one line or on each other."""


def ask(task: str, *points: tuple[int, int]) -> int:
    """The answer about some points."""
    x, y = (np.array([[point[axis]] for point in points], np.int32) for axis in (0, 1))
    return int(ANSWERS[task](x, y)[0])


def square(a: tuple[int, int], b: tuple[int, int]) -> int:
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2


def turned(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> int:
    """The sign of the turn at b, in Python's integers."""
    double = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return (double > 0) - (double < 0)


@settings(deadline=None)
@given(POINT, POINT)
@example((-1800, -900), (1800, 900))
def test_distance_is_the_nearest_integer(a: tuple[int, int], b: tuple[int, int]) -> None:
    value, exact = ask("distance", a, b), square(a, b)
    # |sqrt(s) - d| < 1/2, in integers.
    assert (2 * value - 1) ** 2 < 4 * exact < (2 * value + 1) ** 2 or exact == value == 0


def test_distance_is_the_integer_root_for_every_length_near_half_way() -> None:
    # r^2 + r is the last square that rounds down to r, r^2 + r + 1 the first that rounds up: all
    # legs that give one of the two.
    checked = 0
    for dx in range(0, 3601, 7):
        for dy in range(1801):
            s = dx * dx + dy * dy
            r = math.isqrt(s)
            if s - r * r - r in (0, 1):
                assert ask("distance", (-1800, -900), (dx - 1800, dy - 900)) == r + (s > r * r + r)
                checked += 1
    assert checked > 300


@settings(deadline=None)
@given(POINT, POINT, POINT)
def test_area_is_half_to_even(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> None:
    double = abs((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
    # Python rounds fractions half to even, too.
    for points in permutations((a, b, c)):
        assert ask("trianglearea", *points) == round(Fraction(double, 2))


@settings(deadline=None)
@given(POINT, POINT, POINT)
@example((1, 0), (0, 0), (0, 1))
@example((1, 0), (0, 0), (-5, 0))
@example((3, 3), (3, 3), (0, 1))
def test_angle_is_the_nearest_degree_and_its_sides_may_be_swapped(
    a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]
) -> None:
    cross = abs((a[0] - b[0]) * (c[1] - b[1]) - (a[1] - b[1]) * (c[0] - b[0]))
    dot = (a[0] - b[0]) * (c[0] - b[0]) + (a[1] - b[1]) * (c[1] - b[1])
    value = ask("angle", a, b, c)
    assert value == ask("angle", c, b, a)
    assert 0 <= value <= 180
    assert abs(math.degrees(math.atan2(cross, dot)) - value) <= 0.5 + 1e-9


def test_an_angle_near_half_way_is_decided_in_integers() -> None:
    """Convergents of tan(m + 1/2 degrees) lie alternately below and above it, ever closer: in the
    end closer than a double can tell."""
    closest = 1.0
    with localcontext() as context:
        context.prec = 60
        for degrees in range(90):
            tangent = decimal_tangent(Decimal(2 * degrees + 1) / 2)
            for p, q in convergents(tangent):
                from_half = abs(math.degrees(math.atan2(p, q)) - degrees - 0.5)
                if from_half < 0.4:
                    exceeds = Decimal(p) / Decimal(q) > tangent
                    assert geometry.exceeds_half_degree(q, p) is exceeds
                    # The same to the left of the upright.
                    assert geometry.exceeds_half_degree(-q, p) is not exceeds
                    closest = min(closest, from_half)
    assert closest < 1e-14


def decimal_tangent(degrees: Decimal) -> Decimal:
    """Tangent by the series of sine and cosine."""
    pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
    x = degrees * pi / 180
    sine = cosine = Decimal(0)
    term = Decimal(1)
    for n in range(80):
        if n % 2:
            sine += term if n % 4 == 1 else -term
        else:
            cosine += term if n % 4 == 0 else -term
        term = term * x / (n + 1)
    return sine / cosine


def convergents(value: Decimal) -> list[tuple[int, int]]:
    """Best ratios p / q of integers, up to those that a dot and a cross product may be."""
    found, last, now, rest = [], (0, 1), (1, 0), value
    while True:
        whole = int(rest)
        last, now = now, (whole * now[0] + last[0], whole * now[1] + last[1])
        if max(now) > 3 * 10**7:
            return [pair for pair in found if pair[0] > 0 and pair[1] > 0]
        found.append(now)
        rest = 1 / (rest - whole)


@settings(deadline=None)
@given(st.integers(-3600, 3600), st.integers(-1800, 1800))
@example(0, 0)
def test_compass_is_the_sector_of_the_direction(dx: int, dy: int) -> None:
    if (dx, dy) == (0, 0):
        expected = "N"
    else:
        # A direction is never on the edge of a sector, whose tangent is irrational; doubles tell
        # it apart, as the legs are small.
        expected = SECTORS[int(((math.degrees(math.atan2(dy, dx)) + 22.5) % 360) // 45)]
    a, b = (0, 0), (dx, dy)
    assert SECTORS[ask("compass", a, b)] == expected
    if (dx, dy) != (0, 0):
        assert (ask("compass", b, a) - ask("compass", a, b)) % 8 == 4


@settings(deadline=None)
@given(st.lists(POINT, min_size=2, max_size=5))
def test_perimeter_is_the_nearest_integer_from_every_start_both_ways(
    points: list[tuple[int, int]],
) -> None:
    sides = [square(a, b) for a, b in zip(points, points[1:] + points[:1], strict=True)]
    sides = sides[:1] if len(points) == 2 else sides
    with localcontext() as context:
        context.prec = 60
        exact = sum(Decimal(side).sqrt() for side in sides)
        nearest = int((exact + Decimal("0.5")).to_integral_value(rounding="ROUND_FLOOR"))
    for shift in range(len(points)):
        walk = points[shift:] + points[:shift]
        assert ask("perimeter", *walk) == ask("perimeter", *reversed(walk)) == nearest


def test_a_perimeter_near_half_way_is_decided_in_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    # With everything called doubtful, all of them go through integers and come out the same.
    random = np.random.default_rng(0)
    x, y = random.integers(-1800, 1801, (5, 2000)), random.integers(-900, 901, (5, 2000))
    x, y = x.astype(np.int32), y.astype(np.int32)
    in_doubles = {n: geometry.perimeter(x[:n], y[:n]) for n in (3, 4, 5)}
    angles = geometry.angle(x[:3], y[:3])
    monkeypatch.setattr(geometry, "NEAR", 1.0)
    for n, expected in in_doubles.items():
        assert (geometry.perimeter(x[:n], y[:n]) == expected).all()
    # Far from half way the 360th power means nothing, so angles only where they are near.
    monkeypatch.setattr(geometry, "NEAR", 0.4)
    assert (geometry.angle(x[:3], y[:3]) == angles).all()


def test_sum_of_roots_that_doubles_cannot_tell_from_half_way() -> None:
    # sqrt(s) is r + 1/2 - 1/(8 r) or so for s = r^2 + r: with large s it rounds to r + 1/2.
    r = 10**20
    assert geometry.nearest_sum_of_roots([r * r + r]) == r
    assert geometry.nearest_sum_of_roots([r * r + r + 1]) == r + 1
    assert geometry.nearest_sum_of_roots([9, 16, 25]) == 12


@pytest.mark.parametrize("hull", [3, 4, 5])
def test_inside_agrees_with_delaunay(hull: int) -> None:
    random = np.random.default_rng(hull)
    x = random.integers(-1800, 1801, (hull + 1, 400)).astype(np.int32)
    y = random.integers(-900, 901, (hull + 1, 400)).astype(np.int32)
    ours = geometry.inside(x, y)
    for column in range(x.shape[1]):
        points = np.stack([x[:, column], y[:, column]], axis=1)
        assert (Delaunay(points[1:]).find_simplex(points[0]) >= 0) == bool(ours[column])
    assert 0.02 < ours.mean() < 0.4


@settings(deadline=None)
@given(SMALL, st.lists(SMALL, min_size=3, max_size=5))
def test_inside_on_a_small_grid_where_edges_and_lines_are_common(
    target: tuple[int, int], hull: list[tuple[int, int]]
) -> None:
    orders = [hull[turn:] + hull[:turn] for turn in range(len(hull))]
    found = {ask("inside", target, *order) for order in [*orders, hull[::-1]]}
    assert len(found) == 1
    flat = all(turned(hull[0], a, b) == 0 for a in hull for b in hull)
    assert found == {int(not flat and not outside(target, hull))}
    try:
        there = Delaunay(np.array(hull, float)).find_simplex(np.array(target, float)) >= 0
    except QhullError:
        assert flat
    else:
        # On an edge a triangulation in doubles may say either.
        assert bool(found.pop()) == bool(there) or on_an_edge(target, hull)


def outside(target: tuple[int, int], hull: list[tuple[int, int]]) -> bool:
    """Whether a line through two points of the hull has the target on one side and no point there:
    another way than ours."""
    for a in hull:
        for b in hull:
            side = turned(a, b, target)
            if a != b and side != 0 and all(turned(a, b, c) in (0, -side) for c in hull):
                return True
    return False


def on_an_edge(target: tuple[int, int], hull: list[tuple[int, int]]) -> bool:
    return any(turned(a, b, target) == 0 for a in hull for b in hull if a != b)


def meet(points: list[tuple[int, int]]) -> bool:
    """Whether two closed segments share a point, by solving for it in fractions."""
    a, b, c, d = points
    r, s = (b[0] - a[0], b[1] - a[1]), (d[0] - c[0], d[1] - c[1])
    start = (c[0] - a[0], c[1] - a[1])
    cross = r[0] * s[1] - r[1] * s[0]
    if cross:
        t = Fraction(start[0] * s[1] - start[1] * s[0], cross)
        u = Fraction(start[0] * r[1] - start[1] * r[0], cross)
        return 0 <= t <= 1 and 0 <= u <= 1
    return any(
        turned(p, q, z) == 0
        and min(p[0], q[0]) <= z[0] <= max(p[0], q[0])
        and min(p[1], q[1]) <= z[1] <= max(p[1], q[1])
        for p, q, ends in ((a, b, (c, d)), (c, d, (a, b)))
        for z in ends
    )


@settings(deadline=None)
@given(st.one_of(st.lists(SMALL, min_size=4, max_size=4), st.lists(POINT, min_size=4, max_size=4)))
def test_crossing_is_exact_and_symmetric(points: list[tuple[int, int]]) -> None:
    a, b, c, d = points
    swaps = [(a, b, c, d), (b, a, c, d), (a, b, d, c), (c, d, a, b), (d, c, b, a)]
    assert {ask("crossing", *swap) for swap in swaps} == {int(meet(points))}


def test_answers_in_blocks_are_those_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    x, y = random.integers(-1800, 1801, 50), random.integers(-900, 901, 50)
    x, y = x.astype(np.int32), y.astype(np.int32)
    cities = random.integers(0, 50, (4, 1000), dtype=np.int32)
    whole = answers("crossing", x, y, cities)
    monkeypatch.setattr(geometry, "BLOCK", 64)
    assert (answers("crossing", x, y, cities) == whole).all()
