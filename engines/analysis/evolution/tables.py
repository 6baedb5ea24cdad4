"""The report's tables, each made once and written out by the text, the Markdown and the page.

In: the report. Out: ``Tables``. Called by ``__main__``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engines.analysis.evolution.load import Point, Series
from engines.analysis.evolution.report import Report
from engines.analysis.evolution.seeds import over_seeds
from engines.analysis.evolution.stopping import Check
from engines.analysis.tables import OUT_OF_TIME, mean_behaviour, out_of_time
from engines.shared.reporting.statistics import Interval
from engines.shared.reporting.tables import Table
from engines.shared.reporting.text import percent, percent_with_interval, points, probability

CHECKPOINTS = [
    "training",
    "checkpoint",
    "step",
    "macro mean [95 %]",
    "tokens",
    "cut",
    "no answer",
    "gained",
    "lost",
]
STOPPING = [
    "training",
    "stop at",
    "step",
    "its score [95 %]",
    "best",
    "plateau, steps",
    "last minus it [95 %]",
    "optimism",
]
CHECKS = [
    "training",
    "domain",
    "rule",
    "from",
    "to",
    "n",
    "difference [95 %]",
    "p adjusted",
    "detectable",
    "training reward",
    "verdict",
]
SEEDS = ["arm", "step", "seeds", "macro mean over seeds [95 %]"]


@dataclass(frozen=True)
class Tables:
    """The tables of one report; None where there is nothing to show."""

    stopping: Table
    checkpoints: Table
    domains: Table
    seeds: Table | None
    checks: Table | None
    alarms: Table | None
    checks_of: dict[str, Table]
    """training -> its checks; trainings without any are left out."""


def make_tables(report: Report) -> Tables:
    """Render every table of the report."""
    checks_of = {}
    for training in report.series:
        of_training = [check for check in report.checks if check.series == training.name]
        if of_training:
            checks_of[training.name] = checks_table(report, of_training)
    return Tables(
        stopping_table(report),
        checkpoints_table(report),
        domains_table(report),
        seeds_table(report),
        checks_table(report, report.checks) if report.checks else None,
        checks_table(report, report.alarms) if report.alarms else None,
        checks_of,
    )


def score(interval: Interval | None) -> str:
    """A score in per cent with its interval."""
    return "missing" if interval is None else percent_with_interval(interval)


def stopping_table(report: Report) -> Table:
    """Where each training should have stopped."""
    return Table(STOPPING, [stopping_row(report, training) for training in report.series])


def stopping_row(report: Report, series: Series) -> list[str]:
    """One training."""
    stop = report.stops[series.name]
    if isinstance(stop, str):
        return [series.label, "unknown", "", stop, "", "", "", ""]
    chosen = series.points[stop.chosen]
    first, last = (series.steps[place] for place in stop.plateau)
    return [
        series.label,
        chosen.name,
        str(chosen.scored.step),
        score(stop.reported),
        series.points[stop.best].name,
        f"{first} to {last}" if stop.plateau[1] > stop.plateau[0] else "none",
        points(stop.to_last) if stop.to_last else "it is the last",
        f"{100 * stop.optimism:+.1f}",
    ]


def checkpoints_table(report: Report) -> Table:
    """How every checkpoint scores and answers; how many programs ran out of time, if any did."""
    every = [point for training in report.series for point in training.points]
    shows_late = any(out_of_time(point.behaviour) for point in every)
    rows = []
    for training in report.series:
        for place, point in enumerate(training.points):
            macro = report.scores.get((training.name, place, None))
            # The first checkpoint has none before it to have changed from.
            changed = ["", ""]
            if place > 0:
                changed = [
                    str(count) for count in gained_and_lost(training.points[place - 1], point)
                ]
            row = [training.label, *checkpoint_row(point, macro), *changed]
            if shows_late:
                row.append(str(out_of_time(point.behaviour)))
            rows.append(row)
    return Table([*CHECKPOINTS, *([OUT_OF_TIME] if shows_late else [])], rows)


def checkpoint_row(point: Point, macro: Interval | None) -> list[str]:
    """One checkpoint, without its training and without what changed."""
    tokens, cut, no_answer = mean_behaviour(point.behaviour)
    return [
        point.name,
        str(point.scored.step),
        score(macro),
        f"{tokens:.1f}",
        f"{percent(cut)} %",
        f"{percent(no_answer)} %",
    ]


def gained_and_lost(before: Point, after: Point) -> tuple[int, int]:
    """How many samples turned right and how many turned wrong, of those that both checkpoints have
    a score of: equal scores can hide both."""
    common = before.right.keys() & after.right.keys()
    gained = sum(after.right[key] and not before.right[key] for key in common)
    lost = sum(before.right[key] and not after.right[key] for key in common)
    return gained, lost


def domains_table(report: Report) -> Table:
    """One row per checkpoint, one column per domain."""
    domains = list(report.inputs.domains())
    rows = []
    for training in report.series:
        for place, point in enumerate(training.points):
            scores = [
                score(report.scores.get((training.name, place, domain))) for domain in domains
            ]
            rows.append([training.label, point.name, *scores])
    return Table(["training", "checkpoint", *domains], rows)


def seeds_table(report: Report) -> Table | None:
    """One row per arm of several seeds and step; None if no arm has several."""
    rows = []
    for group in report.groups:
        for step, mean in over_seeds(report.scores, group, None).items():
            rows.append([group.arm, str(step), str(len(group.series)), score(mean)])
    return Table(SEEDS, rows) if rows else None


def checks_table(report: Report, checks: Sequence[Check]) -> Table:
    """One row per rule and domain, alarms in bold."""
    kinds = ["macro" if check.raised else "" for check in checks]
    return Table(CHECKS, [check_row(report, check) for check in checks], kinds)


def check_row(report: Report, check: Check) -> list[str]:
    """One rule held against one domain."""
    training = report.training(check.series)
    rewards = ""
    if check.rewards is not None:
        then, now = check.rewards
        rewards = f"{then:.3f} to {now:.3f}"
    return [
        training.label,
        check.domain,
        check.rule,
        training.points[check.before].name,
        training.points[check.after].name,
        str(check.n),
        points(check.difference),
        probability(check.adjusted),
        detectable(check),
        rewards,
        check.verdict,
    ]


def detectable(check: Check) -> str:
    """The difference that so many problems would find."""
    return "unknown" if check.detectable is None else percent(check.detectable)
