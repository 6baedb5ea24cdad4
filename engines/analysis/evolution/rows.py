"""Every number of an evolution as a row for programs, and the decisions as facts.

In: the report. Out: the rows of ``results.json`` and ``tidy.csv``, and the facts of
``results.json``. Called by ``__main__``.
"""

from __future__ import annotations

from typing import Any

from engines.analysis.evolution.load import Point, Series
from engines.analysis.evolution.report import Report
from engines.analysis.evolution.seeds import SEED, Group, over_seeds
from engines.analysis.evolution.stopping import Check, Stopping
from engines.analysis.evolution.text import sentence
from engines.analysis.tables import mean_behaviour
from engines.contract.results import Row
from engines.contract.tidy import Tidy
from engines.shared.reporting.statistics import Interval

Axes = dict[str, str | int | float | bool]
MACRO = "macro mean"
BEHAVIOUR = ("response_tokens", "truncated_rate", "no_answer_rate")


def all_rows(report: Report) -> list[Tidy]:
    """Scores per checkpoint and domain, how it answers, the stopping points, the means over seeds,
    the checks."""
    rows = []
    for training in report.series:
        for place, point in enumerate(training.points):
            rows += point_rows(report, training, place, point)
        stop = report.stops[training.name]
        if not isinstance(stop, str):
            rows += stopping_rows(report, training, stop)
    for group in report.groups:
        rows += seed_rows(report, group)
    rows += [check_row(report, check) for check in report.checks]
    return rows


def tidy(metric: str, n: int, interval: Interval, axes: Axes, source: str) -> Tidy:
    """A value with its interval."""
    row = Row(metric=metric, value=interval.value, n=n, axes=axes)
    return Tidy(row, source, interval.low, interval.high)


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


def source_of(point: Point) -> str:
    """The file that a checkpoint's scores come from."""
    return f"{point.scored.folder}/scores/{point.scored.evaluated_as}.jsonl"


def point_rows(report: Report, training: Series, place: int, point: Point) -> list[Tidy]:
    """All of one checkpoint: its scores, then how it answers."""
    rows = []
    metric = report.config.metric
    for domain in (*report.inputs.domains(), None):
        tasks, _ = report.inputs.weights(domain)
        n = sum(len(point.means[task]) for task in tasks)
        interval = report.scores.get((training.name, place, domain))
        rows.append(score_row(metric, point, domain or MACRO, n, interval))
    axes: Axes = {**axes_of(point), "domain": MACRO}
    samples = sum(part.samples for part in point.behaviour.values())
    for name, value in zip(BEHAVIOUR, mean_behaviour(point.behaviour), strict=True):
        row = Row(metric=name, value=value, n=samples, axes=axes)
        rows.append(Tidy(row, source_of(point)))
    return rows


def score_row(metric: str, point: Point, domain: str, n: int, interval: Interval | None) -> Tidy:
    """One checkpoint's score in one domain; one that is missing has its reason."""
    axes: Axes = {**axes_of(point), "domain": domain}
    if interval is not None:
        return tidy(metric, n, interval, axes, source_of(point))
    reason = "a task has no problem with a score everywhere"
    row = Row(metric=metric, value=None, n=0, axes=axes, error=reason)
    return Tidy(row, source_of(point))


def stopping_rows(report: Report, training: Series, stop: Stopping) -> list[Tidy]:
    """The chosen checkpoint on the half that did not choose it."""
    metric, point = report.config.metric, training.points[stop.chosen]
    source = source_of(point)
    axes: Axes = {
        **axes_of(point),
        "domain": MACRO,
        "half": "reporting",
        "at": "stopping point",
    }
    rows = [tidy(metric, stop.n, stop.reported, axes, source)]
    if stop.to_last is not None:
        to_last: Axes = {**axes, "to": training.points[training.last].name}
        rows.append(tidy(f"{metric}_difference", stop.n, stop.to_last, to_last, source))
    return rows


def seed_rows(report: Report, group: Group) -> list[Tidy]:
    """The mean over the seeds of an arm at every step; n counts seeds."""
    # One evaluation may hold several checkpoints: each folder is named once.
    folders: list[str] = []
    for training in group.series:
        for point in training.points:
            folder = f"{point.scored.folder}/scores"
            if folder not in folders:
                folders.append(folder)
    source = ";".join(folders)
    arm: Axes = dict(group.series[0].points[0].scored.axes)
    arm.pop(SEED, None)
    metric, seeds, rows = report.config.metric, len(group.series), []
    for domain in (*report.inputs.domains(), None):
        for step, mean in over_seeds(report.scores, group, domain).items():
            axes: Axes = {**arm, "step": step, "domain": domain or MACRO, "mean": "over seeds"}
            rows.append(tidy(metric, seeds, mean, axes, source))
    return rows


def check_row(report: Report, check: Check) -> Tidy:
    """One rule's difference."""
    training = report.training(check.series)
    before, after = training.points[check.before], training.points[check.after]
    axes: Axes = {
        **axes_of(before),
        "domain": check.domain,
        "to": after.name,
        "at": check.rule,
        # Forgetting compares first and last, which no score has chosen: it takes all problems.
        "half": "reporting" if check.rule == "overfitting" else "both",
    }
    metric = f"{report.config.metric}_difference"
    source = f"{source_of(before)};{source_of(after)}"
    return tidy(metric, check.n, check.difference, axes, source)


def facts(report: Report) -> dict[str, Any]:
    """The decisions: for each training where to stop, and every alarm."""
    alarms = [
        {
            "training": check.series,
            "domain": check.domain,
            "rule": check.rule,
            "verdict": check.verdict,
        }
        for check in report.alarms
    ]
    return {
        "headline": " ".join(sentence(report, training) for training in report.series),
        "stopping": {training.name: stop_facts(report, training) for training in report.series},
        "alarms": alarms,
        "missing": report.inputs.missing,
    }


def stop_facts(report: Report, training: Series) -> dict[str, Any]:
    """Where one training should have stopped, or why that cannot be said."""
    stop = report.stops[training.name]
    if isinstance(stop, str):
        return {"reason": stop}
    return {
        "checkpoint": training.points[stop.chosen].name,
        "step": training.steps[stop.chosen],
        "best": training.points[stop.best].name,
        "plateau": [training.steps[place] for place in stop.plateau],
        "optimism": stop.optimism,
    }
