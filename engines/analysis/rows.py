"""Every number as a tidy row: those of the comparison, and those that the jobs left in their
results."""

from __future__ import annotations

from pathlib import Path

from engines.analysis.comparison import Line
from engines.analysis.report import Report
from engines.contract.results import Row
from engines.contract.tidy import Tidy, with_ends
from engines.shared.reporting.statistics import Interval

Axes = dict[str, str | int | float | bool]


def axes_of(line: Line, domain: str) -> Axes:
    """What tells a line of the comparison apart; a line that is not of one task has no task."""
    return {"domain": domain, "task": line.name} if line.task else {"domain": line.name}


def compared(report: Report) -> list[Tidy]:
    """Scores of both arms and their difference, per line of the comparison; a missing one with its
    reason."""
    metric, compare, found, domain = report.config.metric, report.config.compare, [], ""
    source = ";".join(
        str(report.found.files[number - 1])
        for number in sorted(report.found.uses.get("scores", []))
    )
    for line in report.lines:
        domain = domain if line.task else line.name
        parts: list[tuple[str, Axes, Interval | None]] = [
            (metric, {compare.axis: compare.baseline}, line.baseline),
            (metric, {compare.axis: compare.treatment}, line.treatment),
            (f"{metric}_difference", {}, line.difference),
        ]
        for name, arm, interval in parts:
            row = Row(
                metric=name,
                value=interval.value if interval else None,
                n=line.n,
                axes={**axes_of(line, domain), **arm},
                error=None if interval else line.missing,
            )
            found.append(Tidy(row, source, *((interval.low, interval.high) if interval else ())))
    return [*found, *expected(report)]


def expected(report: Report) -> list[Tidy]:
    """What the best specialist of each domain reaches, what the treatment does, and the gain, on
    the half that did not choose."""
    metric, found = report.config.metric, []
    source = ";".join(
        str(report.found.files[number - 1])
        for number in sorted(report.found.uses.get("specialists", []))
    )
    for line in report.expected:
        axes: Axes = {"domain": line.domain, "specialist": line.specialist}
        for name, at, interval in (
            (metric, "expected", line.expected),
            (metric, "actual", line.actual),
            (f"{metric}_difference", "gain", line.gain),
        ):
            row = Row(metric=name, value=interval.value, n=line.n, axes={**axes, "at": at})
            found.append(Tidy(row, source, interval.low, interval.high))
    return found


def own_rows(report: Report) -> list[Row]:
    """The rows of the report's own results; bounds of the difference are among its axes."""
    return [
        with_ends(one) if one.row.metric.endswith("_difference") else one.row
        for one in compared(report)
    ]


def from_jobs(report: Report) -> list[Tidy]:
    """The rows of all jobs, told apart by the axes of the job and their own."""
    found = []
    for source, rows in report.found.results:
        path = str(Path(source.folder) / "results.json")
        found += [
            Tidy(
                row.model_copy(update={"axes": {**source.axes, **row.axes}}),
                path,
                job=source.job,
                stage=source.stage,
            )
            for row in rows
        ]
    return found


def all_rows(report: Report) -> list[Tidy]:
    """Rows of ``tidy.csv``: those of the comparison, then those of the jobs."""
    return [*compared(report), *from_jobs(report)]
