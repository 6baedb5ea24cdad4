"""Every number of an evolution as a tidy row, and the decisions as facts for programs."""

from __future__ import annotations

from typing import Any

from engines.analysis.evolution.load import Point, Series
from engines.analysis.evolution.seeds import SEED, Group, groups, over_seeds
from engines.analysis.evolution.stopping import Check, Stopping
from engines.analysis.evolution.text import Told, behaviour_of, sentence
from engines.contract.results import Row
from engines.contract.tidy import Tidy
from engines.shared.reporting.statistics import Interval

Axes = dict[str, str | int | float | bool]


def axes_of(point: Point) -> Axes:
    """What tells a checkpoint apart."""
    scored = point.scored
    return {
        "training": scored.training,
        **scored.axes,
        "checkpoint": scored.checkpoint,
        "epoch": scored.epoch,
        "step": scored.step,
    }


def line(metric: str, n: int, interval: Interval, axes: Axes, source: str) -> Tidy:
    """A value with its interval."""
    return Tidy(
        Row(metric=metric, value=interval.value, n=n, axes=axes),
        source,
        interval.low,
        interval.high,
    )


def tidy(told: Told) -> list[Tidy]:
    """Scores per checkpoint and domain, how it answers, the stopping points, the checks."""
    found = []
    for one in told.evolved.series:
        for place, point in enumerate(one.points):
            found += point_rows(told, one, place, point)
        stop = told.stops[one.name]
        if not isinstance(stop, str):
            found += stopping_rows(told, one, stop)
    return [
        *found,
        *(row for group in groups(told) for row in arm_rows(told, group)),
        *(check_row(told, check) for check in told.checks),
    ]


def arm_rows(told: Told, group: Group) -> list[Tidy]:
    """The mean over the seeds of an arm at every step; n counts seeds."""
    source = ";".join(
        dict.fromkeys(
            f"{point.scored.folder}/scores" for one in group.series for point in one.points
        )
    )
    axes: Axes = {
        name: value for name, value in group.series[0].points[0].scored.axes.items() if name != SEED
    }
    return [
        line(
            told.evolved.config.metric,
            len(group.series),
            mean,
            {**axes, "step": step, "domain": domain or "macro mean", "mean": "over seeds"},
            source,
        )
        for domain in (*told.evolved.domains(), None)
        for step, mean in over_seeds(told, group, domain).items()
    ]


def source_of(point: Point) -> str:
    """The file that a checkpoint's scores come from."""
    return f"{point.scored.folder}/scores/{point.scored.evaluated_as}.jsonl"


def point_rows(told: Told, one: Series, place: int, point: Point) -> list[Tidy]:
    """All of one checkpoint; a score that is missing has its reason."""
    source, metric, found = source_of(point), told.evolved.config.metric, []
    for domain in (*told.evolved.domains(), None):
        tasks, _ = told.evolved.weights(domain)
        axes: Axes = {**axes_of(point), "domain": domain or "macro mean"}
        interval = told.scores.get((one.name, place, domain))
        n = sum(len(point.means[task]) for task in tasks)
        if interval is None:
            found.append(
                Tidy(
                    Row(
                        metric=metric,
                        value=None,
                        n=0,
                        axes=axes,
                        error="a task has no problem with a score everywhere",
                    ),
                    source,
                )
            )
        else:
            found.append(line(metric, n, interval, axes, source))
    samples = sum(part.samples for part in point.behaviour.values())
    for name, value in zip(
        ("response_tokens", "truncated_rate", "no_answer_rate"), behaviour_of(point), strict=True
    ):
        found.append(
            Tidy(
                Row(
                    metric=name,
                    value=value,
                    n=samples,
                    axes={**axes_of(point), "domain": "macro mean"},
                ),
                source,
            )
        )
    return found


def stopping_rows(told: Told, one: Series, stop: Stopping) -> list[Tidy]:
    """The chosen checkpoint on the half that did not choose it."""
    point = one.points[stop.chosen]
    axes: Axes = {
        **axes_of(point),
        "domain": "macro mean",
        "half": "reporting",
        "at": "stopping point",
    }
    found = [line(told.evolved.config.metric, stop.n, stop.reported, axes, source_of(point))]
    if stop.to_last is not None:
        found.append(
            line(
                f"{told.evolved.config.metric}_difference",
                stop.n,
                stop.to_last,
                {**axes, "to": one.points[-1].scored.checkpoint},
                source_of(point),
            )
        )
    return found


def check_row(told: Told, check: Check) -> Tidy:
    """One rule's difference."""
    one = told.series(check.series)
    before, after = one.points[check.before], one.points[check.after]
    axes: Axes = {
        **axes_of(before),
        "domain": check.domain,
        "to": after.scored.checkpoint,
        "at": check.rule,
        "half": "reporting" if check.rule == "overfitting" else "both",
    }
    return line(
        f"{told.evolved.config.metric}_difference",
        check.n,
        check.difference,
        axes,
        f"{source_of(before)};{source_of(after)}",
    )


def facts(told: Told) -> dict[str, Any]:
    """The decisions: for each training where to stop, and every alarm."""
    stops: dict[str, Any] = {}
    for one in told.evolved.series:
        stop = told.stops[one.name]
        if isinstance(stop, str):
            stops[one.name] = {"reason": stop}
        else:
            stops[one.name] = {
                "checkpoint": one.points[stop.chosen].scored.checkpoint,
                "step": one.steps[stop.chosen],
                "best": one.points[stop.best].scored.checkpoint,
                "plateau": [one.steps[place] for place in stop.plateau],
                "optimism": stop.optimism,
            }
    alarms = [
        {
            "training": check.series,
            "domain": check.domain,
            "rule": check.rule,
            "verdict": check.verdict,
        }
        for check in told.alarms
    ]
    return {
        "headline": " ".join(sentence(told, one) for one in told.evolved.series),
        "stopping": stops,
        "alarms": alarms,
        "missing": told.evolved.found.missing,
    }
