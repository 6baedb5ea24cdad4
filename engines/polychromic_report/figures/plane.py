"""Quality against diversity: one point per arm with its intervals, the arms of a family joined.

In: the report. Out: a figure, or None without data. Called by draw.py.

To the upper right is better on both; an arm that bought diversity with nonsense goes right and
down.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from engines.polychromic_report.figures.style import BASE, Style, styles
from engines.polychromic_report.load import Setting
from engines.polychromic_report.report import Report
from engines.shared.reporting.figures import INK, WIDE, Figure, save, tidy
from engines.shared.reporting.statistics import Interval
from engines.shared.reporting.text import metric_words

QUALITY = "unique_valid"


def plane(report: Report, path: Path) -> Figure | None:
    """One point per arm."""
    import matplotlib.pyplot as plt

    metric = report.config.metric
    points = {}
    for arm in report.arms:
        found = report.level(arm, metric), report.level(arm, QUALITY)
        if found[0] is not None and found[1] is not None:
            points[arm] = (found[0], found[1])
    if not points:
        return None
    figure, axis = plt.subplots(figsize=(WIDE, 4.2), layout="constrained")
    drawn = styles(report)
    join_families(axis, points, drawn)
    for arm, (across, up) in points.items():
        draw_point(axis, across, up, drawn[arm], arm.label)
    draw_base(report, axis, metric)
    tidy(axis, whole=False)
    axis.grid(axis="x")
    axis.set_xlabel(f"{metric_words(metric)}, more diverse to the right")
    axis.set_title("different valid replies per prompt")
    # Below: a name beside the points would take half of a phone's width.
    figure.legend(loc="outside lower left", ncols=2)
    caption = (
        "Quality against diversity, by arm. Bars are 95 % intervals over training seeds; arms of a "
        "family are joined from the smallest weight to the largest. Up and to the right is better "
        "in both; right and down is diversity bought with invalid replies"
    )
    return save(figure, path, caption, "results")


def join_families(
    axis: Any,
    points: dict[Setting, tuple[Interval | float, Interval | float]],
    drawn: dict[Setting, Style],
) -> None:
    """A thin line through the arms of a family, beginning at the arm without the term."""
    starts = [arm for arm in points if arm.weight == 0][:1]
    for family in dict.fromkeys(arm.family for arm in points if arm.weight > 0):
        arms = [*starts, *(arm for arm in points if arm.family == family)]
        across = [middle(points[arm][0]) for arm in arms]
        up = [middle(points[arm][1]) for arm in arms]
        axis.plot(across, up, "-", color=drawn[arms[-1]].colour, linewidth=1, alpha=0.5)


def draw_point(
    axis: Any, across: Interval | float, up: Interval | float, style: Style, label: str
) -> None:
    """One arm."""
    axis.errorbar(
        middle(across),
        middle(up),
        xerr=arms_of(across),
        yerr=arms_of(up),
        fmt=style.marker,
        color=style.colour,
        alpha=style.strength,
        markersize=6,
        capsize=2,
        linewidth=1,
        label=label,
    )


def draw_base(report: Report, axis: Any, metric: str) -> None:
    """The model that all trainings began with, where it was evaluated."""
    base = report.inputs.base
    if base is None or metric not in base.values or QUALITY not in base.values:
        return
    across, up = np.nanmean(base.values[metric]), np.nanmean(base.values[QUALITY])
    axis.plot(across, up, BASE.marker, color=INK, markersize=6, label="before fine-tuning")


def middle(value: Interval | float) -> float:
    """The value itself."""
    return value.value if isinstance(value, Interval) else value


def arms_of(value: Interval | float) -> list[list[float]] | None:
    """The bars of matplotlib below and above a value; None without an interval."""
    if not isinstance(value, Interval):
        return None
    return [[value.value - value.low], [value.high - value.value]]
