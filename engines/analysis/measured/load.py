"""Reads what the command has measured of every checkpoint.

In: the evaluations that the config names. Out: a ``Curve`` for each metric of each training; what
is not there is named in ``missing``, and every file read is a numbered source. Called by
``__main__``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from engines.analysis.evolution.config import Scored
from engines.analysis.measured.config import Config
from engines.contract.config import ConfigError
from engines.contract.results import Row, read_results
from engines.shared.reporting.sources import Sources


@dataclass(frozen=True)
class Value:
    """One value of one checkpoint."""

    scored: Scored
    row: Row
    value: float


@dataclass
class Curve:
    """One metric of one training over its checkpoints, lowest step first."""

    metric: str
    """Its name, with the row's own axes where it has some: ``accuracy, task=math``."""
    label: str
    """What tells the training apart."""
    higher: bool | None
    """Whether higher values are better; None: nobody says."""
    values: list[Value] = field(default_factory=list)

    @property
    def best(self) -> Value | None:
        """The best value, of equals the earliest."""
        if self.higher is None:
            return None
        sign = 1.0 if self.higher else -1.0
        return max(self.values, key=lambda one: (sign * one.value, -one.scored.step))


@dataclass
class Measured:
    """All that was read."""

    curves: list[Curve]
    missing: list[str]
    sources: Sources

    @property
    def metrics(self) -> list[str]:
        """Every metric, in the order of the commands' rows."""
        return list(dict.fromkeys(curve.metric for curve in self.curves))


def read_measured(config: Config) -> Measured:
    """Everything; ConfigError if nothing is measured."""
    curves: dict[tuple[str, str, str], Curve] = {}
    missing, sources = list(config.pruned), Sources()
    for scored in sorted(config.points, key=lambda one: (one.step, one.checkpoint)):
        for row in rows_of(scored, missing, sources):
            where = f"{scored.training}, {scored.checkpoint}: {name_of(row)}"
            if row.value is None:
                missing.append(f"{where}: {row.error}")
                continue
            curve = new_curve(config, scored, row)
            key = (curve.metric, scored.training, curve.label)
            curves.setdefault(key, curve).values.append(Value(scored, row, row.value))
    if not curves:
        raise ConfigError(
            "points: no checkpoint has a value; the command leaves them in results.json in "
            "$ORCH_OUT, or by orch.result()"
        )
    return Measured(list(curves.values()), missing, sources)


def rows_of(scored: Scored, missing: list[str], sources: Sources) -> list[Row]:
    """What was measured of a checkpoint; none, and named, if its evaluation left nothing."""
    out = Path(scored.folder)
    if not (out / "results.json").is_file():
        missing.append(
            f"{scored.training}, {scored.checkpoint}: {out} has no results.json: its evaluation is "
            "not done"
        )
        return []
    rows, document = read_results(out)
    sources.add("scores", out / "results.json")
    head = f"{scored.training}, {scored.checkpoint}"
    missing += [f"{head}: {text}" for text in document["facts"].get("problems", [])]
    if not rows:
        missing.append(f"{head}: its evaluation left no row")
    return rows


def new_curve(config: Config, scored: Scored, row: Row) -> Curve:
    """The curve that a row belongs to, without values."""
    axes = ", ".join(f"{axis}={value}" for axis, value in scored.axes.items())
    return Curve(
        metric=name_of(row),
        label=axes or scored.training,
        higher=config.higher.get(row.metric),
    )


def name_of(row: Row) -> str:
    """A metric with the row's own axes."""
    axes = [f"{axis}={value}" for axis, value in row.axes.items()]
    return ", ".join([row.metric, *axes])
