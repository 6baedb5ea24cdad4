"""Points of curves, where a later life of a program wins over an earlier one.

In: points in the order in which they were measured. Out: one value for each metric and step. Called
by the readers of this package and by ``output``.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

MARK = ""
"""Name of no metric: says that a step was reached, where nothing was measured."""


class Point:
    """What was measured at one step.

    ``step`` is a count, ``time`` in Unix seconds, ``total`` in steps; None where it is not known.
    """

    __slots__ = ("metrics", "step", "time", "total")

    def __init__(
        self,
        step: int,
        metrics: dict[str, float],
        time: float | None = None,
        total: int | None = None,
    ) -> None:
        self.step = step
        self.metrics = metrics
        self.time = time
        self.total = total


class Series:
    """Values by metric and step.

    A metric whose steps go back has been started again from a checkpoint: what it had from that
    step on is dropped. By metric, because metrics may count different steps (batches, epochs), and
    some come late (validations of an earlier step).
    """

    def __init__(self) -> None:
        self.values: dict[str, dict[int, float]] = {}
        self.times: dict[int, float] = {}
        self.totals: dict[int, int] = {}

    def add(self, points: Iterable[Point]) -> None:
        """Take points in, later ones last."""
        for point in points:
            for name, value in (point.metrics or {MARK: 0.0}).items():
                known = self.values.setdefault(name, {})
                # In the order in which they were put in, which is by step.
                while known and next(reversed(known)) >= point.step:
                    known.popitem()
                known[point.step] = value
            # What another file has said stays where this one does not say.
            if point.time is not None:
                self.times[point.step] = point.time
            if point.total is not None:
                self.totals[point.step] = point.total

    def points(self) -> list[Point]:
        """One point for each step that anything is known of, lowest first."""
        by_step: dict[int, dict[str, float]] = {}
        for name, values in self.values.items():
            for step, value in values.items():
                metrics = by_step.setdefault(step, {})
                if name != MARK:
                    metrics[name] = value
        return [
            Point(step, by_step[step], self.times.get(step), self.totals.get(step))
            for step in sorted(by_step)
        ]

    def last(self) -> dict[str, float]:
        """The value of each metric at its last step."""
        return {
            name: next(reversed(values.values()))
            for name, values in self.values.items()
            if name != MARK and values
        }


class Found:
    """What a reader has found in one place."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.rows: list[dict[str, Any]] = []
        """Results that are no curves: metric, value, n, spread, axes."""
        self.checkpoints: list[dict[str, Any]] = []
        """Whole checkpoints: what a manifest says, and ``folder``."""
        self.problems: list[str] = []


def number(value: object) -> float | int | None:
    """A number, finite or not; None if it is none, or no float can hold it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        math.isfinite(value)
    except OverflowError:
        return None
    return value


def whole(value: object) -> int | None:
    """A count of steps; None if it is none."""
    found = number(value)
    if found is None or not math.isfinite(found) or found < 0 or found != int(found):
        return None
    return int(found)


def flat(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of a row by name; those of an object in it by ``name/key``."""
    found: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            # verl writes {"step": 1, "data": {...}}, orch {"step": 1, "metrics": {...}}.
            below = prefix if not prefix and key in ("data", "metrics") else f"{prefix}{key}/"
            found |= flat(value, below)
        else:
            found[f"{prefix}{key}"] = value
    return found
