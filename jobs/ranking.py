"""The settings of a sweep, the best one first. Pure, no I/O.

Jobs that differ in their seed alone are repetitions of one setting: it counts with the mean of
their values, and how many there are is said beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.stages import Point, job_name

SEED = "seed"
"""The axis that tells repetitions of the same setting apart."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What one job has left."""

    job: str
    axes: Point
    value: float | None
    why: str = ""
    """Why there is no value."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Jobs that differ in their seed alone."""

    axes: Point
    """What they have in common."""
    tried: tuple[Tried, ...]

    @property
    def values(self) -> list[float]:
        """Those that are there."""
        return [one.value for one in self.tried if one.value is not None]

    @property
    def mean(self) -> float | None:
        """The mean of the values."""
        return sum(self.values) / len(self.values) if self.values else None

    @property
    def spread(self) -> float | None:
        """Their standard deviation, with n - 1; None of a single one."""
        values, count = self.values, len(self.values)
        if count < 2:
            return None
        mean = sum(values) / count
        return math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1))


def ranked(tried: Sequence[Tried], higher: bool) -> list[Setting]:
    """The settings, the best mean first; those without any value last."""
    groups: dict[str, list[Tried]] = {}
    for one in tried:
        # By text, as in names: to Python 1, 1.0 and True are one key.
        groups.setdefault(job_name("", without_seed(one.axes)), []).append(one)
    settings = [
        Setting(axes=without_seed(group[0].axes), tried=tuple(group)) for group in groups.values()
    ]
    sign = -1.0 if higher else 1.0
    # Sorting is stable: equals stay in the order of the plan.
    return sorted(settings, key=lambda one: math.inf if one.mean is None else sign * one.mean)


def without_seed(axes: Point) -> Point:
    """What does not tell repetitions apart."""
    return {axis: value for axis, value in axes.items() if axis != SEED}


def varying(settings: Sequence[Setting]) -> list[str]:
    """The axes on which the settings differ."""
    names = dict.fromkeys(axis for one in settings for axis in one.axes)
    return [
        axis
        for axis in names
        if len({(type(one.axes.get(axis)), one.axes.get(axis)) for one in settings}) > 1
    ]
