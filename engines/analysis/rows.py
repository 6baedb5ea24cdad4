"""Every number as a row for programs: those of the comparison, and those that the jobs left in
their results.

In: the report. Out: the rows of ``results.json``, ``tidy.csv`` and ``table.csv``. Called by
``__main__``.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from engines.analysis.comparison import Line
from engines.analysis.report import Report
from engines.contract.results import Row
from engines.contract.tidy import Tidy, with_ends
from engines.shared.reporting.statistics import Interval

Axes = dict[str, str | int | float | bool]
TABLE_HEAD = (
    "domain",
    "task",
    "n",
    "baseline",
    "treatment",
    "difference",
    "low",
    "high",
    "p",
    "p_adjusted",
    "minimum_detectable",
    "missing",
    "source",
)


def all_rows(report: Report) -> list[Tidy]:
    """Rows of ``tidy.csv``: those of the comparison, then those of the jobs."""
    return [*comparison_rows(report), *job_rows(report)]


def own_rows(report: Report) -> list[Row]:
    """The rows of the report's own results; bounds of the difference are among its axes."""
    rows = []
    for tidy in comparison_rows(report):
        is_difference = tidy.row.metric.endswith("_difference")
        rows.append(with_ends(tidy) if is_difference else tidy.row)
    return rows


def comparison_rows(report: Report) -> list[Tidy]:
    """Scores of both arms and their difference, per line of the comparison, then the gains over the
    specialists."""
    source = report.inputs.sources.paths("scores")
    rows, domain = [], ""
    for line in report.lines:
        domain = domain if line.task else line.name
        rows += line_rows(report, line, domain, source)
    return [*rows, *expected_rows(report)]


def line_rows(report: Report, line: Line, domain: str, source: str) -> list[Tidy]:
    """One line of the comparison; what is missing has its reason."""
    metric, compare = report.config.metric, report.config.compare
    # A line that is not of one task has no task among its axes.
    place: Axes = {"domain": domain, "task": line.name} if line.task else {"domain": line.name}
    quantities: list[tuple[str, Axes, Interval | None]] = [
        (metric, {compare.axis: compare.baseline}, line.baseline),
        (metric, {compare.axis: compare.treatment}, line.treatment),
        (f"{metric}_difference", {}, line.difference),
    ]
    rows = []
    for name, arm, interval in quantities:
        axes = {**place, **arm}
        if interval is None:
            row = Row(metric=name, value=None, n=line.n, axes=axes, error=line.missing)
            rows.append(Tidy(row, source))
        else:
            row = Row(metric=name, value=interval.value, n=line.n, axes=axes)
            rows.append(Tidy(row, source, interval.low, interval.high))
    return rows


def expected_rows(report: Report) -> list[Tidy]:
    """What the best specialist of each domain reaches, what the treatment does, and the gain, on
    the half that did not choose."""
    metric, rows = report.config.metric, []
    source = report.inputs.sources.paths("specialists")
    for line in report.expected:
        axes: Axes = {"domain": line.domain, "specialist": line.specialist}
        for name, at, interval in (
            (metric, "expected", line.expected),
            (metric, "actual", line.actual),
            (f"{metric}_difference", "gain", line.gain),
        ):
            row = Row(metric=name, value=interval.value, n=line.n, axes={**axes, "at": at})
            rows.append(Tidy(row, source, interval.low, interval.high))
    return rows


def job_rows(report: Report) -> list[Tidy]:
    """The rows of all jobs, told apart by the axes of the job and their own."""
    rows = []
    for source, of_job in report.inputs.results:
        path = str(Path(source.folder) / "results.json")
        for row in of_job:
            with_axes = row.model_copy(update={"axes": {**source.axes, **row.axes}})
            rows.append(Tidy(with_axes, path, job=source.job, stage=source.stage))
    return rows


def table_csv(report: Report) -> str:
    """``table.csv``: the main table as shares, unrounded, with the numbers of its sources."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(TABLE_HEAD)
    domain, sources = "", report.inputs.sources.label("scores")
    for line in report.lines:
        domain = domain if line.task else line.name
        difference = line.difference
        writer.writerow(
            [
                domain,
                line.name if line.task else "",
                line.n,
                # A value that is missing stays None, which csv writes as an empty cell.
                line.baseline and line.baseline.value,
                line.treatment and line.treatment.value,
                difference and difference.value,
                difference and difference.low,
                difference and difference.high,
                line.p_value,
                line.adjusted,
                line.detectable,
                line.missing,
                sources,
            ]
        )
    return stream.getvalue()
