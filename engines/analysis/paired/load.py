"""Reads what the jobs of two sides have measured, and pairs it.

In: the config. Out: a ``Line`` for each metric of each setting, with the pairs of values of equal
seeds; what has no partner is named. Called by ``__main__``.

A setting is a job's axes but for the seed. An axis in which the sides differ as a whole, such as
``arm`` when one arm is compared with another, is what is compared and no part of the setting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engines.analysis.paired.config import Config, SideOfRun
from engines.contract.config import ConfigError
from engines.contract.counting.counts import counted
from engines.contract.results import ResultSource, read_results
from engines.shared.reporting.sources import Sources

SEED = "seed"
Scalar = str | int | float | bool
Key = tuple[str, tuple[tuple[str, Scalar], ...], str]
"""Stage, setting, and metric with the row's own axes."""


@dataclass
class Line:
    """One metric of one setting."""

    stage: str
    setting: str
    """``lr=0.1``; "" where there is one setting only."""
    metric: str
    """Its name, with the row's own axes where it has some: ``accuracy, task=math``."""
    higher: bool | None
    """Whether higher values are better; None: nobody says."""
    pairs: list[tuple[float, float]] = field(default_factory=list)
    """Values of equal seeds, baseline first."""


@dataclass
class Paired:
    """All that was read."""

    lines: list[Line]
    missing: list[str]
    sources: Sources


@dataclass
class Values:
    """What one side has measured."""

    by_key: dict[Key, dict[Scalar, float]] = field(default_factory=dict)
    """Key -> seed -> value; the seed is "" of a job that has none."""
    missing: list[str] = field(default_factory=list)


def read_paired(config: Config) -> Paired:
    """Everything; ConfigError if nothing of the two sides has a partner, or a setting has two
    values for a seed."""
    sources = Sources()
    sides = (config.baseline, config.treatment)
    left_out = compared_axes(*(side.jobs for side in sides))
    one_stage = all(len({job.stage for job in side.jobs}) == 1 for side in sides)
    first, second = (values_of(side, config.metric, left_out, one_stage, sources) for side in sides)
    lines = lines_of(config, first, second)
    missing = [*first.missing, *second.missing, *alone_texts(config, first, second)]
    if not lines:
        raise ConfigError(
            f"{config.baseline.label} and {config.treatment.label}: no job of the one has the "
            f"metric, the setting and the seed of a job of the other; {'; '.join(missing[:3])}"
        )
    return Paired(lines, missing, sources)


def lines_of(config: Config, first: Values, second: Values) -> list[Line]:
    """A line for each key of which both sides have a seed."""
    lines = []
    for key, own in first.by_key.items():
        stage, setting, metric = key
        others = second.by_key.get(key, {})
        line = Line(stage, words(setting), metric, config.higher.get(metric.partition(",")[0]))
        line.pairs = [(own[seed], others[seed]) for seed in own if seed in others]
        if line.pairs:
            lines.append(line)
    return lines


def alone_texts(config: Config, first: Values, second: Values) -> list[str]:
    """In words: what one side has and the other has not."""
    alone: dict[tuple[str, str, str], list[str]] = {}
    sides = ((config.baseline, first, second), (config.treatment, second, first))
    for side, own, others in sides:
        for key, values in own.by_key.items():
            stage, setting, metric = key
            known = others.by_key.get(key, {})
            seeds = [str(seed) for seed in values if seed not in known]
            place = (side.label, ", ".join(seeds), " ".join(filter(None, [stage, words(setting)])))
            if seeds:
                alone.setdefault(place, []).append(metric)
    return [alone_text(*place, metrics) for place, metrics in alone.items()]


def compared_axes(*sides: Sequence[ResultSource]) -> set[str]:
    """Axes with a single value on each side that has them, and not the same one: they are what is
    compared."""
    found = set()
    axes = {axis for jobs in sides for job in jobs for axis in job.axes} - {SEED}
    for axis in axes:
        values = [{job.axes.get(axis) for job in jobs} for jobs in sides]
        if all(len(one) == 1 for one in values) and values[0] != values[1]:
            found.add(axis)
    return found


def values_of(
    side: SideOfRun, metric: str | None, left_out: set[str], one_stage: bool, sources: Sources
) -> Values:
    """What a side has measured; ConfigError for two values of one seed."""
    values = Values()
    for job in counted("reading results", side.jobs):
        setting = tuple(
            (axis, value)
            for axis, value in sorted(job.axes.items())
            if axis != SEED and axis not in left_out
        )
        rows, _ = read_results(Path(job.folder))
        sources.add("scores", Path(job.folder) / "results.json")
        for row in rows:
            if metric is not None and row.metric != metric:
                continue
            own = [f"{axis}={value}" for axis, value in row.axes.items()]
            name = ", ".join([row.metric, *own])
            if row.value is None:
                values.missing.append(f"{side.label}, {job.job}: {name}: {row.error}")
                continue
            seeds = values.by_key.setdefault(("" if one_stage else job.stage, setting, name), {})
            seed = job.axes.get(SEED, "")
            if seed in seeds:
                raise ConfigError(
                    f"{side.label}: {job.job} is not the only job with its setting and seed; name "
                    "one stage, as in RUN:STAGE"
                )
            seeds[seed] = row.value
    return values


def alone_text(label: str, seeds: str, where: str, metrics: Sequence[str]) -> str:
    """In words: what one side has and the other has not."""
    place = " of ".join(filter(None, [f"seed {seeds}" if seeds else "", where]))
    return f"{label} alone has {', '.join(metrics)}{f' ({place})' if place else ''}"


def words(setting: Sequence[tuple[str, Scalar]]) -> str:
    """``lr=0.1, width=16``."""
    return ", ".join(f"{axis}={value}" for axis, value in setting)
