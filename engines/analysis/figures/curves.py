"""The figures of metrics over training: one metric of both arms, and the reward task by task.

In: the lines of progress that the trainings left. Out: one figure each. Called by draw.py;
cosines.py reads its series here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from engines.analysis.report import Report
from engines.contract.metrics import METRICS
from engines.shared.reporting.figures import (
    BAND,
    BLUE,
    DOT,
    INK,
    NARROW,
    ORANGE,
    PAIR,
    THICK,
    THIN,
    Figure,
    name_ends,
    save,
    tidy,
)
from engines.shared.reporting.statistics import t_interval

WINDOWS = 12
"""Windows of steps that a dense series is averaged in; a single step is mostly noise."""
DENSE = 24
"""More points than this are shown as means of windows."""
COLUMNS = 2
"""Panels beside each other."""
Series = dict[int, float]
"""step -> value, of one training seed."""


def series_of(report: Report, key: str) -> dict[str, list[Series]]:
    """arm -> one series per seed that has the metric; arms without it are left out."""
    found = {}
    for arm, jobs in sorted(report.inputs.curves.items()):
        seeds = []
        for _, lines in jobs:
            values = {
                line["step"]: line["metrics"][key] for line in lines if key in line["metrics"]
            }
            if values:
                seeds.append(values)
        if seeds:
            found[arm] = seeds
    return found


def keys_with(report: Report, prefix: str) -> list[str]:
    """Metric keys with ``prefix`` that any progress line has."""
    keys: set[str] = set()
    for jobs in report.inputs.curves.values():
        for _, lines in jobs:
            for line in lines:
                keys.update(key for key in line["metrics"] if key.startswith(prefix))
    return sorted(keys)


def colour_of(report: Report, arm: str) -> str:
    """Orange for the treatment, blue for the baseline."""
    return ORANGE if arm == report.config.compare.treatment else BLUE


def curve(report: Report, key: str, label: str, path: Path) -> Figure | None:
    """One metric over training: every seed thin, their mean thick, its 95 % interval as a band
    where there are two seeds."""
    import matplotlib.pyplot as plt

    arms = series_of(report, key)
    if not arms:
        report.missing.append(f"curve of {key}: no progress.jsonl has it")
        return None
    for arm in report.inputs.scores:
        if arm not in arms:
            report.missing.append(f"curve of {key} of {arm}: no progress.jsonl has it")
    dense = max(len(series) for seeds in arms.values() for series in seeds) > DENSE
    figure, axis = plt.subplots(figsize=(NARROW, 2.3))
    ends: list[tuple[float, str, str]] = []
    for arm, seeds in arms.items():
        colour = colour_of(report, arm)
        # Of a dense series the seeds would hide their mean: only the means of windows are drawn.
        if not dense:
            for series in seeds:
                axis.plot(
                    list(series), list(series.values()), color=colour, linewidth=THIN, alpha=0.5
                )
        last = draw_mean(axis, seeds, key, colour, arm)
        if last is not None:
            ends.append((last, arm, colour))
    tidy(axis)
    name_ends(axis, ends)
    axis.set_xlabel("optimizer step")
    # Above the axis, where it is read from left to right.
    axis.set_title(label)
    count = max(len(seeds) for seeds in arms.values())
    caption = f"{label.capitalize()}, over training: {what_is_drawn(dense, count)}."
    return save(figure, path, caption, "curves")


def draw_mean(axis: Any, seeds: Sequence[Series], key: str, colour: str, arm: str) -> float | None:
    """The mean over seeds with its band; returns where it ends, None if the seeds share no step.

    The band is cut at the ends of the metric's range, never at those of the picture.
    """
    import numpy as np

    steps, values = shared_steps(seeds)
    if not steps:
        return None
    means = [sum(at_step) / len(at_step) for at_step in values]
    if len(seeds) > 1:
        bands = [t_interval(at_step) for at_step in values]
        ends = [[band.low for band in bands], [band.high for band in bands]]
        # Student's interval knows no range: of two seeds it may reach beyond a share's 0 and 1.
        metric = METRICS[key]
        lowest = -np.inf if metric.low is None else metric.low
        highest = np.inf if metric.high is None else metric.high
        low, high = np.clip(ends, lowest, highest)
        axis.fill_between(steps, low, high, color=colour, alpha=BAND, linewidth=0)
    axis.plot(steps, means, color=colour, linewidth=THICK, marker="o", markersize=DOT, label=arm)
    return means[-1]


def what_is_drawn(dense: bool, seeds: int) -> str:
    """What the lines and the band of a curve are, in words."""
    if dense:
        lines = f"means over windows of steps, {seeds} seed{'s' if seeds > 1 else ''}"
    else:
        lines = f"{seeds} seeds thin, their mean thick" if seeds > 1 else "one seed"
    if seeds > 1:
        lines += "; band: 95 % interval over seeds (Student's t)"
    return lines


def shared_steps(seeds: Sequence[Series]) -> tuple[list[float], list[list[float]]]:
    """Steps that every seed has, and each seed's value there: one list of values per step.

    Many steps become windows, each at the mean of its steps and with each seed's mean value.
    """
    steps = sorted(set.intersection(*(set(series) for series in seeds)))
    windows = [[step] for step in steps]
    if len(steps) > DENSE:
        # Every step is in one window; their sizes differ by one at most.
        ends = [number * len(steps) // WINDOWS for number in range(WINDOWS + 1)]
        windows = [steps[first:last] for first, last in pairwise(ends)]
    centres = [sum(window) / len(window) for window in windows]
    values = []
    for window in windows:
        values.append([sum(series[step] for step in window) / len(window) for series in seeds])
    return centres, values


def curves_by_task(report: Report, path: Path) -> Figure | None:
    """Validation reward of each task over training, one small panel per task."""
    import matplotlib.pyplot as plt

    keys = keys_with(report, "validation_reward/")
    if not keys:
        report.missing.append("curves per task: no progress.jsonl has validation_reward/<task>")
        return None
    height = (len(keys) + COLUMNS - 1) // COLUMNS
    figure, grid = plt.subplots(
        height,
        COLUMNS,
        figsize=(PAIR, 1.6 * height),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    # The last row may have more places than there are tasks.
    for axis in grid.flat[len(keys) :]:
        axis.set_visible(False)
    for axis, key in zip(grid.flat, keys, strict=False):
        axis.set_title(key.partition("/")[2])
        for arm, seeds in series_of(report, key).items():
            colour = colour_of(report, arm)
            for series in seeds:
                axis.plot(list(series), list(series.values()), color=colour, linewidth=THIN)
    tidy(*grid.flat[: len(keys)])
    figure.supxlabel("optimizer step", fontsize=9, color=INK)
    figure.supylabel("validation reward", fontsize=9, color=INK)
    arms = report.config.compare
    caption = (
        f"Validation reward per task, one line a seed: {arms.treatment} orange, {arms.baseline} "
        "blue."
    )
    return save(figure, path, caption, "curves")
