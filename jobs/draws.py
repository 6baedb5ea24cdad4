"""Points drawn at random for the jobs of a stage: the same points for the same seed.

What goes in: how many points, a seed, and what the values of each axis are drawn from. What comes
out: the points, with values of few digits, as they stand in the jobs' names. Pure, no I/O. Called
when a stage is read.

A value depends on the seed, its axis and its place in the row alone: another axis, or more points,
leaves it as it is. That is why no generator with a state is used.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from jobs.stages import Point, Scalar, value_text

DIGITS = 3
"""Of a drawn number: a thousand different values in a range are told apart."""
FRUITLESS = 1000
"""Draws in a row that gave nothing new: there is not enough that differs."""
BITS = 53
"""Of the fraction of a float."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What the values of one axis are drawn from."""

    kind: Literal["uniform", "log_uniform", "integers", "choice"]
    among: tuple[Scalar, ...]
    """The two ends of a range, or the values to choose from."""

    def value(self, share: float) -> Scalar:
        """The value at a share (at least 0, below 1) of the way through: inverse transform
        sampling."""
        if self.kind == "choice":
            return self.among[math.floor(share * len(self.among))]
        low, high = (float(end) for end in self.among)
        if self.kind == "integers":
            return int(low) + math.floor(share * (int(high) - int(low) + 1))
        if self.kind == "uniform":
            return self.rounded(low + share * (high - low))
        return self.rounded(low * 10 ** (share * math.log10(high / low)))

    def rounded(self, value: float) -> float:
        """A number of the range (``uniform`` or ``log_uniform``) with few digits."""
        low, high = (float(end) for end in self.among)
        if self.kind == "uniform":
            # As many decimals as tell thousands of the range apart, whatever its place.
            decimals = DIGITS - math.floor(math.log10(high - low))
            drawn = round(value, decimals)
        else:
            span = math.log10(high / low)
            # A range of less than a power of ten needs more digits to have as many values.
            digits = DIGITS + max(0, math.ceil(-math.log10(span)))
            drawn = float(f"{value:.{digits}g}")
        # Rounding must not lead out of the range.
        return min(max(drawn, low), high)

    @property
    def count(self) -> int | None:
        """How many values there are; None: as good as without end."""
        if self.kind == "choice":
            return len({value_text(value) for value in self.among})
        if self.kind == "integers":
            return int(self.among[1]) - int(self.among[0]) + 1
        return None


def share_of(seed: int, axis: str, place: int) -> float:
    """A number from 0 to below 1 for a seed, an axis and a place: a hash, uniform as far as anybody
    can see."""
    number = hashlib.sha256(f"{seed}/{axis}/{place}".encode()).digest()
    return (int.from_bytes(number[:8], "big") >> (64 - BITS)) / (1 << BITS)


def draw(count: int, seed: int, axes: Mapping[str, Draw]) -> list[Point]:
    """So many different points, or fewer where there are not so many (``FRUITLESS`` draws in a row
    gave none). A larger ``count`` begins with the points of a smaller one."""
    found: dict[Sequence[str], Point] = {}
    place, last_new = 0, 0
    while len(found) < count and place - last_new < FRUITLESS:
        point = {axis: one.value(share_of(seed, axis, place)) for axis, one in axes.items()}
        # By their texts: jobs of the same name would be one.
        name = tuple(value_text(value) for value in point.values())
        if name not in found:
            found[name] = point
            last_new = place
        place += 1
    return list(found.values())
