"""Every number as a tidy row: those of the comparison, and those that the jobs left in their results."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from engines.analysis.comparison import Line
from engines.analysis.report import Report
from engines.io import Row
from engines.statistics import Interval

Axes = dict[str, str | int | float | bool]
FIRST = ("job", "stage", "metric", "value", "n", "low", "high", "spread", "error", "source")
"""Columns that every row has; those of the axes follow."""


@dataclass(frozen=True)
class Tidy:
    """One row with its 95 % interval, where it has one, and the files it comes from."""

    row: Row
    source: str
    interval: Interval | None = None
    job: str = ""
    stage: str = ""


def axes_of(line: Line, domain: str) -> Axes:
    """What tells a line of the comparison apart; a line that is not of one task has no task."""
    return {"domain": domain, "task": line.name} if line.task else {"domain": line.name}


def compared(report: Report) -> list[Tidy]:
    """Scores of both arms and their difference, per line of the comparison; a missing one with its reason."""
    metric, compare, found, domain = report.config.metric, report.config.compare, [], ""
    source = ";".join(str(report.found.files[number - 1]) for number in sorted(report.found.uses.get("scores", [])))
    for line in report.lines:
        domain = domain if line.task else line.name
        parts: list[tuple[str, Axes, Interval | None]] = [
            (metric, {compare.axis: compare.baseline}, line.baseline), (metric, {compare.axis: compare.treatment}, line.treatment),
            (f"{metric}_difference", {}, line.difference)]
        for name, arm, interval in parts:
            row = Row(metric=name, value=interval.value if interval else None, n=line.n, axes={**axes_of(line, domain), **arm},
                      error=None if interval else line.missing)
            found.append(Tidy(row, source, interval))
    return found


def own_rows(report: Report) -> list[Row]:
    """The rows of the report's own results; bounds of the difference are among its axes."""
    bounds = [{"low": one.interval.low, "high": one.interval.high} if one.interval and one.row.metric.endswith("_difference") else {}
              for one in compared(report)]
    return [one.row.model_copy(update={"axes": {**one.row.axes, **extra}}) for one, extra in zip(compared(report), bounds, strict=True)]


def from_jobs(report: Report) -> list[Tidy]:
    """The rows of all jobs, told apart by the axes of the job and their own."""
    found = []
    for source, rows in report.found.results:
        path = str(Path(source.folder) / "results.json")
        found += [Tidy(row.model_copy(update={"axes": {**source.axes, **row.axes}}), path, None, source.job, source.stage) for row in rows]
    return found


def tidy_csv(report: Report) -> str:
    """``tidy.csv``: shares, unrounded; an axis that a row does not have is empty."""
    lines = [*compared(report), *from_jobs(report)]
    names = sorted({name for line in lines for name in line.row.axes})
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*FIRST, *names])
    for line in lines:
        row, interval = line.row, line.interval
        writer.writerow([line.job, line.stage, row.metric, row.value, row.n, interval and interval.low, interval and interval.high,
                         row.spread, row.error, line.source, *[row.axes.get(name) for name in names]])
    return stream.getvalue()
