"""Answers, exactly: every rounding and every comparison is decided in integers.

In: x and y of the cities of many questions of one kind, int32 of shape (k cities, n questions),
inside the plane of ``world.py``. Out: (n,) int32, a whole number or the place in ``Task.words``.
``answers`` is what the drawing of questions calls.

No number that is rounded lies half way but the area. A distance is the root of an integer, and
(m + 1/2)^2 is none. A perimeter is a sum of such roots, and those add up to a rational number only
if each is an integer (Besicovitch 1940, on the linear independence of roots). An angle of m + 1/2
degrees has an irrational tangent (Niven 1956, corollary 3.12), and ours are ratios of integers.

In int32 nothing overflows: a difference is at most 3,600 by 1,800, so that a product, a sum of two
of them or a squared length stays below 3e7.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

NEAR = 1e-9
"""Doubles closer than this to half way are decided in integers. Their own error is far smaller:
five correctly rounded roots below 4,096 and four sums below 32,768 are off by less than 1e-11, an
arc tangent of numpy in degrees by less than 1e-12."""
NORTH = 2


def turn(x: Array, y: Array, a: int, b: int, c: int) -> Array:
    """Twice the area of the triangle a b c, positive where it turns to the left."""
    ahead, aside = x[b] - x[a], y[b] - y[a]
    double: Array = ahead * (y[c] - y[a]) - aside * (x[c] - x[a])
    return double


def squared(x: Array, y: Array, a: int, b: int) -> Array:
    """Squared distance of the cities a and b."""
    across, up = x[b] - x[a], y[b] - y[a]
    square: Array = across * across + up * up
    return square


def distance(x: Array, y: Array) -> Array:
    """Distance to the nearest integer, tenths of a degree."""
    square = squared(x, y, 0, 1)
    # A double's root of an integer below 2^52, cut off, is the integer root: IEEE roots are
    # correctly rounded.
    root = np.sqrt(square.astype(np.float64)).astype(np.int32)
    # sqrt(s) > r + 1/2 means s > r^2 + r + 1/4, that is s > r^2 + r.
    rounded: Array = root + (square > root * root + root)
    return rounded


def triangle_area(x: Array, y: Array) -> Array:
    """Area to the nearest integer, half to even, hundredths of a square degree."""
    double = np.abs(turn(x, y, 0, 1, 2))
    half = double >> 1
    # An odd double is a half too much; it goes up where that makes the result even.
    rounded: Array = half + (double & half & 1)
    return rounded


def angle(x: Array, y: Array) -> Array:
    """Angle at the second of three cities to the nearest degree, 0 to 180; 0 where another one lies
    on it."""
    cross = np.abs(turn(x, y, 1, 0, 2))
    dot = (x[0] - x[1]) * (x[2] - x[1]) + (y[0] - y[1]) * (y[2] - y[1])
    degrees = np.degrees(np.arctan2(cross.astype(np.float64), dot.astype(np.float64)))
    rounded: Array = np.rint(degrees).astype(np.int32)
    doubtful = np.flatnonzero(np.abs(degrees - np.floor(degrees) - 0.5) < NEAR)
    for row in doubtful:
        below = math.floor(degrees[row])
        rounded[row] = below + exceeds_half_degree(int(dot[row]), int(cross[row]))
    return rounded


def exceeds_half_degree(dot: int, cross: int) -> bool:
    """Whether the angle of (dot, cross), known to lie near m + 1/2 degrees, is larger than that.

    The 360th power of the complex number has 360 times its angle: near an odd multiple of 180
    degrees, and beyond it the imaginary part is negative.
    """
    result, base, exponent = (1, 0), (dot, cross), 360
    while exponent:
        if exponent & 1:
            result = times(result, base)
        base = times(base, base)
        exponent >>= 1
    return result[1] < 0


def times(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """Product of two complex numbers with integer parts."""
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def compass(x: Array, y: Array) -> Array:
    """Place in ``SECTORS`` of the direction from the first city to the second; north where they are
    on one point.

    A sector reaches 22.5 degrees to both sides, whose tangent is sqrt(2) - 1. So the direction is
    diagonal if b / a > sqrt(2) - 1, for the longer leg a and the shorter one b: (a + b)^2 > 2 a^2.
    """
    across, up = x[1] - x[0], y[1] - y[0]
    wide, high = np.abs(across), np.abs(up)
    longer = np.maximum(wide, high)
    both = wide + high
    diagonal = both * both > 2 * longer * longer
    west, south = across < 0, up < 0
    # Counter-clockwise from the east: NE 1, NW 3, SW 5, SE 7.
    corner = np.where(south, np.where(west, 5, 7), np.where(west, 3, 1))
    side = np.where(wide > high, np.where(west, 4, 0), np.where(south, 6, NORTH))
    return np.where(diagonal, corner, side).astype(np.int32)


def inside(x: Array, y: Array) -> Array:
    """1 where the first city lies in the convex hull of the others or on its edge; 0 where those
    lie on one line."""
    count = len(x)
    left, right = {}, {}
    for a, b in combinations(range(1, count), 2):
        turned = turn(x, y, 0, a, b)
        left[a, b], right[a, b] = turned >= 0, turned <= 0
    found = np.zeros(x.shape[1], bool)
    # The hull is the union of its triangles (Caratheodory). A point is in one if it sees all three
    # sides turn the same way; if both ways, all turns are 0 and the triangle has no area.
    for a, b, c in combinations(range(1, count), 3):
        found |= (left[a, b] & left[b, c] & right[a, c]) ^ (right[a, b] & right[b, c] & left[a, c])
    return found.astype(np.int32)


def perimeter(x: Array, y: Array) -> Array:
    """Length of the closed polygon through the cities in their order to the nearest integer; of two
    cities the distance."""
    count = len(x)
    if count == 2:
        return distance(x, y)
    squares = [squared(x, y, a, (a + 1) % count) for a in range(count)]
    total = np.sqrt(squares[0].astype(np.float64))
    for square in squares[1:]:
        total += np.sqrt(square.astype(np.float64))
    rounded: Array = np.rint(total).astype(np.int32)
    for row in np.flatnonzero(np.abs(total - np.floor(total) - 0.5) < NEAR):
        rounded[row] = nearest_sum_of_roots([int(square[row]) for square in squares])
    return rounded


def nearest_sum_of_roots(squares: list[int]) -> int:
    """The integer nearest to the sum of the roots of some integers.

    With ever more digits until the sum lies on one side of the half; it does not lie on it.
    """
    digits = 40
    while True:
        scale: int = 10**digits
        # Each integer root is too small by less than 1, so the sum lies in [low, low + n).
        low = sum(math.isqrt(square * scale * scale) for square in squares)
        first = (2 * low + scale) // (2 * scale)
        last = (2 * (low + len(squares)) + scale) // (2 * scale)
        if first == last:
            return first
        digits *= 2


def crossing(x: Array, y: Array) -> Array:
    """1 where the closed segments of the first two and of the last two cities share a point.

    They do where each has its ends on both sides of the other's line (or on it) and their boxes
    overlap, which tells segments on one line apart (Cormen et al., Introduction to Algorithms,
    second edition, 33.1).
    """
    first, second = np.sign(turn(x, y, 0, 1, 2)), np.sign(turn(x, y, 0, 1, 3))
    third, fourth = np.sign(turn(x, y, 2, 3, 0)), np.sign(turn(x, y, 2, 3, 1))
    across = (first * second <= 0) & (third * fourth <= 0)
    level = np.flatnonzero(across & (first == 0) & (second == 0))
    across[level] = boxes_overlap(x[:, level], y[:, level])
    found: Array = across.astype(np.int32)
    return found


def boxes_overlap(x: Array, y: Array) -> Array:
    """Whether the boxes around two segments share a point, (n,) bool."""
    overlap: Array = np.ones(x.shape[1], bool)
    for axis in (x, y):
        low = np.maximum(axis[:2].min(axis=0), axis[2:].min(axis=0))
        high = np.minimum(axis[:2].max(axis=0), axis[2:].max(axis=0))
        overlap &= low <= high
    return overlap


ANSWERS: dict[str, Callable[[Array, Array], Array]] = {
    "distance": distance,
    "trianglearea": triangle_area,
    "angle": angle,
    "compass": compass,
    "inside": inside,
    "perimeter": perimeter,
    "crossing": crossing,
}

BLOCK = 1 << 16
"""Questions at once, so that what lies between stays in the processor's cache."""


def answers(task: str, x: Array, y: Array, cities: Array) -> Array:
    """Answers of questions about the cities of one world.

    ``x`` and ``y`` (N,) int32 of all cities; ``cities`` (k, n) rows of them, as many in every
    question. Returns (n,) int32.
    """
    found = np.empty(cities.shape[1], np.int32)
    for start in range(0, cities.shape[1], BLOCK):
        block = cities[:, start : start + BLOCK]
        found[start : start + BLOCK] = ANSWERS[task](x[block], y[block])
    return found
