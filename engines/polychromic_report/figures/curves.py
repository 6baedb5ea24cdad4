"""What each arm did while it trained: diversity of its samples, share of valid ones, cross-entropy.

In: the report. Out: a figure, or None without data. Called by draw.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engines.polychromic_report.figures.style import Style, styles
from engines.polychromic_report.load import Training
from engines.polychromic_report.report import Report
from engines.shared.reporting.figures import WIDE, Figure, save, tidy

PANELS = {
    "set_diversity": "diversity of a set\nof samples",
    "valid_share": "share of valid\nsamples",
    "validation_cross_entropy": "validation cross-\nentropy, nats per token",
}
SMOOTHED = ("set_diversity", "valid_share")
"""Of a handful of prompts a step each, so that single steps jump."""
WINDOW = 0.05
"""Share of the training that a moving mean is taken over."""


def training_curves(report: Report, path: Path) -> Figure | None:
    """One panel per quantity, one line per arm: the mean over its seeds."""
    import matplotlib.pyplot as plt

    drawn = styles(report)
    panels = [name for name in PANELS if any_line(report, name)]
    if not panels:
        return None
    figure, axes = plt.subplots(
        1, len(panels), figsize=(WIDE, 2.6), squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes[0], panels, strict=True):
        for arm in report.arms:
            draw_line(axis, report.inputs.trained(arm), name, drawn[arm], arm.label)
        tidy(axis)
        axis.set_xlabel("step")
        axis.set_title(PANELS[name])
    handles, labels = legend_entries(axes[0], [arm.label for arm in report.arms])
    figure.legend(handles, labels, loc="outside lower left", ncols=2, handlelength=2.6)
    caption = (
        "Each arm over its training, mean over seeds; of the samples a moving mean over a "
        "twentieth of the steps. The arm without the term draws no samples"
    )
    return save(figure, path, caption, "results")


def any_line(report: Report, name: str) -> bool:
    """Whether some training has logged a metric."""
    return any(series(one, name)[0] for one in report.inputs.trainings)


def series(training: Training, name: str) -> tuple[list[int], list[float]]:
    """Steps and values of a metric."""
    lines = [line for line in training.curve if name in line["metrics"]]
    return [line["step"] for line in lines], [line["metrics"][name] for line in lines]


def draw_line(
    axis: Any, trainings: Sequence[Training], name: str, style: Style, label: str
) -> None:
    """The mean over the seeds of an arm, over the steps that all of them logged."""
    found = [dict(zip(*series(one, name), strict=True)) for one in trainings]
    steps = sorted(set.intersection(*map(set, found))) if found else []
    if not steps:
        return
    values = np.array([[one[step] for step in steps] for one in found]).mean(axis=0)
    if name in SMOOTHED:
        values = moving_mean(values, max(1, round(WINDOW * len(values))))
    axis.plot(
        steps,
        values,
        style.line,
        color=style.colour,
        alpha=style.strength,
        linewidth=style.width,
        label=label,
    )


def moving_mean(values: Any, width: int) -> Any:
    """Mean over the last ``width`` values; fewer at the beginning."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - width)
    return (sums[ends] - sums[starts]) / (ends - starts)


def legend_entries(axes: Any, order: Sequence[str]) -> tuple[list[Any], list[str]]:
    """Every arm once, whichever panel it is in, in the order of the other figures."""
    entries: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    labels = [label for label in order if label in entries]
    return [entries[label] for label in labels], labels
