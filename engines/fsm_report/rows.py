"""The report's numbers as rows for programs.

In: the report. Out: the rows of ``results.json``. Called by ``__main__``.
"""

from __future__ import annotations

from engines.contract.results import Row
from engines.fsm_report.report import Report
from engines.fsm_report.summary import BEST, summarise


def own_rows(report: Report) -> list[Row]:
    """Each group's mean test accuracy over seeds; the spread is the standard error over seeds."""
    rows = []
    for group in report.inputs.of("fsm"):
        summary = summarise(group.values("test_accuracy", BEST))
        if summary is None:
            continue
        error = None
        # One seed has no deviation, and its mean no standard error.
        if summary.deviation is not None:
            error = summary.deviation / summary.n**0.5
        rows.append(
            Row(
                metric="test_accuracy",
                value=summary.mean,
                n=summary.n,
                spread=error,
                axes={"group": group.name},
            )
        )
    return rows
