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
    return made


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
    for arm, found in sorted(series.items()):
        colour = ORANGE if arm == report.config.compare.treatment else BLUE
        for one in found:
            axis.plot(list(one), list(one.values()), color=colour, linewidth=0.8, alpha=0.5)
        steps = sorted(set.intersection(*(set(one) for one in found)))
        means = [sum(one[step] for one in found) / len(found) for step in steps]
        if steps:
            axis.plot(steps, means, color=colour, linewidth=2.2, marker="o", markersize=3)
            axis.annotate(arm, (steps[-1], means[-1]), xytext=(6, 0), textcoords="offset points", color=colour, va="center")
    axis.set_xlabel("optimizer step")
    axis.set_ylabel(label)
    save(figure, path)
    return [(f"{label.capitalize()} over training: seeds thin, their mean thick.", path)]
