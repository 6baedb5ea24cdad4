"""The figures of the report: forest plot, curves over training. Colours after Okabe and Ito."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines.analysis.comparison import Report

BLUE, ORANGE = "#0072B2", "#D55E00"
KEYS = {"validation_reward_mean": "validation reward, mean over tasks", "conflict_rate": "share of task pairs in conflict"}


def draw(report: Report, folder: Path) -> list[tuple[str, Path]]:
    """All figures that the data allow, as (caption, PNG). What has no data is named in ``report.missing``."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "font.size": 10, "figure.dpi": 130})
    folder.mkdir(parents=True, exist_ok=True)
    made = forest(report, folder / "differences.png")
    for key, label in KEYS.items():
        made += curve(report, key, label, folder / f"{key}.png")
    return made + tasks(report, folder / "tasks.png") + cosines(report, folder / "cosines.png")


def save(figure: Any, path: Path) -> None:
    """Write and close."""
    import matplotlib.pyplot as plt

    figure.savefig(path, bbox_inches="tight", facecolor="white")
    plt.close(figure)


def forest(report: Report, path: Path) -> list[tuple[str, Path]]:
    """Differences with their intervals, one line per domain, macro last."""
    import matplotlib.pyplot as plt

    shown = [(line.name, line.difference) for line in report.lines if line.difference]
    if not shown:
        report.missing.append("figure of differences: no domain could be compared")
        return []
    figure, axis = plt.subplots(figsize=(6.6, 0.8 + 0.38 * len(shown)))
    axis.axvline(0, color="#888888", linewidth=1)
    for place, (name, d) in enumerate(shown):
        colour = ORANGE if name == "macro mean" else BLUE
        axis.plot([100 * d.low, 100 * d.high], [place, place], color=colour, linewidth=2)
        axis.plot(100 * d.value, place, "o", color=colour)
    axis.set_yticks(range(len(shown)), [name for name, _ in shown])
    axis.invert_yaxis()
    names = report.config.compare
    axis.set_xlabel(f"{names.treatment} minus {names.baseline}, percentage points of {report.config.metric}")
    save(figure, path)
    return [("Paired differences per domain with 95 % intervals (bootstrap over problems); right of 0 favours "
             f"{names.treatment}.", path)]


def curve(report: Report, key: str, label: str, path: Path) -> list[tuple[str, Path]]:
    """One metric over training: every seed thin, their mean thick where all seeds have a value."""
    import matplotlib.pyplot as plt

    series = {arm: [{line["step"]: line["metrics"][key] for line in lines if key in line["metrics"]} for _, lines in jobs]
              for arm, jobs in report.curves.items()}
    series = {arm: [s for s in found if s] for arm, found in series.items() if any(found)}
    if not series:
        report.missing.append(f"curve of {key}: no progress.jsonl has it")
        return []
    figure, axis = plt.subplots(figsize=(6.6, 3.2))
    ends: list[tuple[float, int, str, str]] = []
    for arm, found in sorted(series.items()):
        colour = ORANGE if arm == report.config.compare.treatment else BLUE
        for one in found:
            axis.plot(list(one), list(one.values()), color=colour, linewidth=0.8, alpha=0.5)
        steps = sorted(set.intersection(*(set(one) for one in found)))
        means = [sum(one[step] for one in found) / len(found) for step in steps]
        if steps:
            axis.plot(steps, means, color=colour, linewidth=2.2, marker="o", markersize=3)
            ends.append((means[-1], steps[-1], arm, colour))
    for place, (value, step, arm, colour) in enumerate(sorted(ends)):
        # The lower name a little below its line's end, the higher one above: the arms often end alike.
        axis.annotate(arm, (step, value), xytext=(6, 12 * place - 6), textcoords="offset points", color=colour, va="center")
    axis.set_xlabel("optimizer step")
    axis.set_ylabel(label)
    save(figure, path)
    return [(f"{label.capitalize()} over training: seeds thin, their mean thick.", path)]


def keys_with(report: Report, prefix: str) -> list[str]:
    """Metric keys with ``prefix`` that any progress line has."""
    return sorted({key for jobs in report.curves.values() for _, lines in jobs for line in lines for key in line["metrics"]
                   if key.startswith(prefix)})


def tasks(report: Report, path: Path) -> list[tuple[str, Path]]:
    """Validation reward of each task over training, one small panel per task."""
    import matplotlib.pyplot as plt

    keys = keys_with(report, "validation_reward/")
    if not keys:
        report.missing.append("curves per task: no progress.jsonl has validation_reward/<task>")
        return []
    figure, grid = plt.subplots((len(keys) + 2) // 3, 3, figsize=(7.5, 2.1 * ((len(keys) + 2) // 3)), squeeze=False, sharex=True,
                                sharey=True, layout="constrained")
    for axis in grid.flat[len(keys):]:
        axis.set_visible(False)
    for axis, key in zip(grid.flat, keys, strict=False):
        axis.set_title(key.partition("/")[2], fontsize=10)
        for arm, jobs in sorted(report.curves.items()):
            colour = ORANGE if arm == report.config.compare.treatment else BLUE
            for _, lines in jobs:
                points = [(line["step"], line["metrics"][key]) for line in lines if key in line["metrics"]]
                axis.plot([x for x, _ in points], [y for _, y in points], color=colour, linewidth=1.2)
    figure.supxlabel("optimizer step", fontsize=10)
    figure.supylabel("validation reward", fontsize=10)
    save(figure, path)
    names = report.config.compare
    return [(f"Validation reward per task, one line a seed: {names.treatment} orange, {names.baseline} blue.", path)]


def cosines(report: Report, path: Path) -> list[tuple[str, Path]]:
    """Cosine between the tasks' gradients, averaged over steps and seeds, one matrix per arm."""
    import matplotlib.pyplot as plt
    import numpy as np

    keys = keys_with(report, "cosine/")
    if not keys:
        report.missing.append("cosine matrix: no progress.jsonl has cosine/<a>|<b>")
        return []
    names = sorted({name for key in keys for name in key.partition("/")[2].split("|")})
    figure, grid = plt.subplots(1, len(report.curves), figsize=(3.9 * len(report.curves), 3.6), squeeze=False, layout="constrained")
    for axis, (arm, jobs) in zip(grid.flat, sorted(report.curves.items()), strict=True):
        matrix = np.full((len(names), len(names)), np.nan)
        for key in keys:
            a, b = (names.index(name) for name in key.partition("/")[2].split("|"))
            values = [line["metrics"][key] for _, lines in jobs for line in lines if key in line["metrics"]]
            matrix[a, b] = matrix[b, a] = np.mean(values) if values else np.nan
        axis.imshow(matrix, cmap="PuOr", vmin=-1, vmax=1)
        for (row, column), value in np.ndenumerate(matrix):
            axis.text(column, row, "" if np.isnan(value) else f"{value:.2f}", ha="center", va="center", fontsize=7)
        axis.set_xticks(range(len(names)), names, rotation=60, fontsize=8)
        axis.set_yticks(range(len(names)), names, fontsize=8)
        axis.set_title(arm)
    save(figure, path)
    return [("Cosine between the gradients of two tasks, mean over training and seeds; below 0 they conflict.", path)]
