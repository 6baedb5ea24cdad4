"""A search in rounds: what each round is drawn by, and what is known of the points before it.

A stage with a search has ``rounds * n`` jobs (times its seeds) from the start. They are called by
the number of their point; the point's values are drawn when the round before has left its own.
Pure, no I/O. Called by the planner, the lifecycle and the views.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jobs.draws import Draw
from jobs.stages import Point, Scalar, digest, fill, literal, placeholders

POINT = "point"
"""The axis that numbers the points of a search, from 0."""
FOLDER = "searches"
"""Folder in a run's folder: for each stage with a search a file with the rounds drawn so far."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """How the points of a stage are found."""

    metric: str
    higher: bool
    """Whether higher values are better."""
    where: Point
    """Axes that a row of the results must have, such as ``{"checkpoint": "last"}``."""
    axes: dict[str, Draw]
    """What the values of each axis are drawn from."""
    rounds: int
    n: int
    """How many points each round has."""
    seed: int
    command: tuple[str, ...] | None
    """Argument list with ``{axis}`` in it, as the stage has it; None for an engine."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @property
    def asks(self) -> str:
        """``lowest val_loss (checkpoint=last)``."""
        where = ", ".join(f"{axis}={literal(value)}" for axis, value in self.where.items())
        goal = f"{'highest' if self.higher else 'lowest'} {self.metric}"
        return f"{goal} ({where})" if where else goal

    def round_of(self, axes: Mapping[str, Any]) -> int:
        """The round, from 1, of the job with these axes."""
        return int(axes[POINT]) // self.n + 1

    def identity(self, point: int, seeds: Sequence[Scalar]) -> str:
        """Hash of what decides the values of a point, beside the program: of the first round how
        they are drawn, of later ones also what the earlier ones are judged by. How many rounds
        follow changes no point."""
        among = {axis: asdict(one) for axis, one in self.axes.items()}
        drawn = ["search", self.seed, self.n, among, point]
        if self.round_of({POINT: point}) > 1:
            drawn += [self.metric, self.higher, self.where, list(seeds)]
        return digest(drawn)

    def command_at(self, axes: Point) -> tuple[str, ...] | None:
        """The command with these values; what else stands in it for something later stays."""
        if self.command is None:
            return None
        names = [name for argument in self.command for name in placeholders(argument)]
        return fill(self.command, {**{name: f"{{{name}}}" for name in names}, **axes})


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the jobs of one point say together."""

    point: int
    axes: Point
    value: float | None
    """The mean over its jobs, which differ in their seed. None if one of them has none: a mean over
    fewer seeds is no value of the same kind, as those that died may have died of the point."""
    open: bool
    """A value may still come."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """The points of one round, as they were drawn."""

    number: int
    """From 1."""
    points: tuple[Point, ...]
    by: str
    """What drew them: ``optuna 5.0.0``."""
    told: tuple[Told, ...]
    """What was known of the points before."""
    time: float
    """Unix seconds."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def told(point: int, axes: Point, values: Sequence[float | None], to_come: bool) -> Told:
    """What a point has left.

    Args:
        values: of each of its jobs.
        to_come: whether one of them that has no value may still bring it.
    """
    there = [value for value in values if value is not None]
    whole = len(there) == len(values) and bool(there)
    mean = sum(there) / len(there) if whole else None
    return Told(point=point, axes=axes, value=mean, open=to_come and not whole)


def values_text(values: Mapping[str, Scalar]) -> str:
    """``lr=0.01, width=16``."""
    return ", ".join(f"{axis}={literal(value)}" for axis, value in values.items())
