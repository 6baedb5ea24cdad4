"""The figure of the differences: a forest plot.

In: the lines of the comparison. Out: one figure. Called by draw.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines.analysis.comparison import LEVEL, MACRO, Line
from engines.analysis.report import Report
from engines.shared.reporting.figures import GREY, INK, PAPER, WIDE, Figure, save, tidy
from engines.shared.reporting.statistics import Interval


def differences(report: Report, path: Path) -> Figure | None:
    """Differences with their intervals, one line per domain or task, macro last."""
    import matplotlib.pyplot as plt

    shown = [(line, line.difference) for line in report.lines if line.difference]
    if not shown:
        report.missing.append("figure of differences: no domain could be compared")
        return None
    figure, axis = plt.subplots(figsize=(WIDE, 0.7 + 0.26 * len(shown)))
    axis.axvline(0, color=GREY, linewidth=1)
    for height, (line, difference) in enumerate(shown):
        draw_line(axis, height, line, difference)
    # Tasks are set in below their domain.
    names = [f"    {line.name}" if line.task else line.name for line, _ in shown]
    axis.set_yticks(range(len(shown)), names)
    axis.invert_yaxis()
    axis.spines["left"].set_visible(False)
    tidy(axis, up=False, whole=False)
    arms = report.config.compare
    axis.set_xlabel(
        f"{arms.treatment} minus {arms.baseline}, percentage points of {report.config.metric}"
    )
    caption = (
        "Paired differences with 95 % intervals (bootstrap over problems); right of 0 favours "
        f"{arms.treatment}. A mark is filled where its adjusted p is below {LEVEL}."
    )
    return save(figure, path, caption, "scores")


def draw_line(axis: Any, height: int, line: Line, difference: Interval) -> None:
    """One interval with its mark; the macro mean is the boldest, a task the finest."""
    linewidth = 1.4
    if line.task:
        linewidth = 0.9
    elif line.name == MACRO:
        linewidth = 2.4
    evident = line.adjusted is not None and line.adjusted < LEVEL
    ends = [100 * difference.low, 100 * difference.high]
    axis.plot(ends, [height, height], color=INK, linewidth=linewidth)
    axis.plot(
        100 * difference.value,
        height,
        "D" if line.name == MACRO else "o",
        color=INK,
        markersize=4 if line.task else 6,
        markerfacecolor=INK if evident else PAPER,
    )
