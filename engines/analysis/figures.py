"""The figures of the report: differences, curves over training, cosines. Colours after Okabe and
Ito.

Each is drawn once, as SVG whose lines and words take the page's own colour, so that it reads on
light and dark pages alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engines.analysis.comparison import LEVEL, MACRO
from engines.analysis.report import Report
from engines.contract.metrics import METRICS
from engines.shared.reporting.figures import BLUE, INK, ORANGE, Figure, prepare, save
from engines.shared.reporting.statistics import t_interval

CURVES = {
    "validation_reward_mean": "validation reward, mean over tasks",
    "conflict_rate": "share of task pairs in conflict",
}
WINDOWS = 12
"""Windows of steps that a dense series is averaged in; a single step is mostly noise."""
DENSE = 24
"""More points than this are shown as means of windows."""


def draw(report: Report, folder: Path) -> list[Figure]:
    """All figures that the data allow; also written to ``folder`` as SVG and PNG. What has no data
    is named in ``report.missing``."""
    prepare()
    folder.mkdir(parents=True, exist_ok=True)
    made = [forest(report, folder / "differences")]
    made += [curve(report, key, label, folder / key) for key, label in CURVES.items()]
    made += [
        tasks(report, folder / "tasks"),
        cosines(report, folder / "cosines"),
        cosines_over_training(report, folder / "cosine_course"),
    ]
    return [figure for figure in made if figure is not None]


def colour_of(report: Report, arm: str) -> str:
    """Orange for the treatment, blue for the baseline."""
    return ORANGE if arm == report.config.compare.treatment else BLUE


def forest(report: Report, path: Path) -> Figure | None:
    """Differences with their intervals, one line per domain or task, macro last."""
    import matplotlib.pyplot as plt

    shown = [(line, line.difference) for line in report.lines if line.difference]
    if not shown:
        report.missing.append("figure of differences: no domain could be compared")
        return None
    figure, axis = plt.subplots(figsize=(6.6, 0.8 + 0.38 * len(shown)))
    axis.axvline(0, color="#888888", linewidth=1)
    for place, (line, d) in enumerate(shown):
        evident = line.adjusted is not None and line.adjusted < LEVEL
        axis.plot(
            [100 * d.low, 100 * d.high],
            [place, place],
            color=INK,
            linewidth=1 if line.task else 3 if line.name == MACRO else 1.8,
        )
        axis.plot(
            100 * d.value,
            place,
            "D" if line.name == MACRO else "o",
            color=INK,
            markersize=4 if line.task else 7,
            markerfacecolor=INK if evident else "#888888",
        )
    axis.set_yticks(
        range(len(shown)), [f"    {line.name}" if line.task else line.name for line, _ in shown]
    )
    axis.invert_yaxis()
    names = report.config.compare
    axis.set_xlabel(
        f"{names.treatment} minus {names.baseline}, percentage points of {report.config.metric}"
    )
    return save(
        figure,
        path,
        "Paired differences with 95 % intervals (bootstrap over problems); right of 0 "
        f"favours {names.treatment}. "
        f"A mark is grey unless its adjusted p is below {LEVEL}.",
        "scores",
    )


def series_of(report: Report, key: str) -> dict[str, list[dict[int, float]]]:
    """arm -> one {step: value} per seed that has the metric."""
    series = {
        arm: [
            {line["step"]: line["metrics"][key] for line in lines if key in line["metrics"]}
            for _, lines in jobs
        ]
        for arm, jobs in sorted(report.found.curves.items())
    }
    return {arm: [one for one in found if one] for arm, found in series.items() if any(found)}


def curve(report: Report, key: str, label: str, path: Path) -> Figure | None:
    """One metric over training: every seed thin, their mean thick, its 95 % interval as a band
    where there are two seeds.

    The band is cut at the ends of the metric's range, never at those of the picture.
    """
    import matplotlib.pyplot as plt
    import numpy as np

    series = series_of(report, key)
    if not series:
        report.missing.append(f"curve of {key}: no progress.jsonl has it")
        return None
    report.missing.extend(
        f"curve of {key} of {arm}: no progress.jsonl has it"
        for arm in report.found.scores
        if arm not in series
    )
    dense, metric = (
        max(len(one) for found in series.values() for one in found) > DENSE,
        METRICS[key],
    )
    figure, axis = plt.subplots(figsize=(6.6, 3.2))
    ends: list[tuple[float, str]] = []
    for arm, found in series.items():
        colour = colour_of(report, arm)
        for one in found if not dense else []:
            axis.plot(list(one), list(one.values()), color=colour, linewidth=0.8, alpha=0.5)
        steps, columns = shared_steps(found)
        means = [sum(column) / len(column) for column in columns]
        if len(found) > 1 and steps:
            bands = [t_interval(column) for column in columns]
            low, high = np.clip(
                [[b.low for b in bands], [b.high for b in bands]], metric.low, metric.high
            )
            axis.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
        if steps:
            axis.plot(
                steps, means, color=colour, linewidth=2.2, marker="o", markersize=3, label=arm
            )
            ends.append((means[-1], arm))
    name_lines(axis, report, ends)
    axis.set_xlabel("optimizer step")
    axis.set_ylabel(label)
    seeds = max(len(found) for found in series.values())
    each = (
        f"means over windows of steps, {seeds} seed{'s' if seeds > 1 else ''}"
        if dense
        else (f"{seeds} seeds thin, their mean thick" if seeds > 1 else "one seed")
    )
    told = "; band: 95 % interval over seeds (Student's t)" if seeds > 1 else ""
    return save(figure, path, f"{label.capitalize()}, over training: {each}{told}.", "curves")


def shared_steps(found: Sequence[dict[int, float]]) -> tuple[list[float], list[list[float]]]:
    """Steps that every seed has, and each seed's value there; many steps become the middles and
    means of windows."""
    steps = sorted(set.intersection(*(set(one) for one in found)))
    if len(steps) <= DENSE:
        return [float(step) for step in steps], [[one[step] for one in found] for step in steps]
    parts = [
        steps[k * len(steps) // WINDOWS : (k + 1) * len(steps) // WINDOWS] for k in range(WINDOWS)
    ]
    return [sum(part) / len(part) for part in parts], [
        [sum(one[s] for s in part) / len(part) for one in found] for part in parts
    ]


def name_lines(axis: Any, report: Report, ends: Sequence[tuple[float, str]]) -> None:
    """Each arm's name at the end of its line, moved apart where the arms end alike."""
    low, high = axis.get_ylim()
    gap, place = 0.08 * (high - low), -float("inf")
    for value, arm in sorted(ends):
        place = max(value, place + gap)
        axis.annotate(
            arm,
            (1.01, place),
            xycoords=("axes fraction", "data"),
            color=colour_of(report, arm),
            va="center",
        )


def keys_with(report: Report, prefix: str) -> list[str]:
    """Metric keys with ``prefix`` that any progress line has."""
    return sorted(
        {
            key
            for jobs in report.found.curves.values()
            for _, lines in jobs
            for line in lines
            for key in line["metrics"]
            if key.startswith(prefix)
        }
    )


def tasks(report: Report, path: Path) -> Figure | None:
    """Validation reward of each task over training, one small panel per task."""
    import matplotlib.pyplot as plt

    keys = keys_with(report, "validation_reward/")
    if not keys:
        report.missing.append("curves per task: no progress.jsonl has validation_reward/<task>")
        return None
    figure, grid = plt.subplots(
        (len(keys) + 2) // 3,
        3,
        figsize=(7.5, 2.1 * ((len(keys) + 2) // 3)),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for axis in grid.flat[len(keys) :]:
        axis.set_visible(False)
    for axis, key in zip(grid.flat, keys, strict=False):
        axis.set_title(key.partition("/")[2], fontsize=10)
        for arm, found in series_of(report, key).items():
            for one in found:
                axis.plot(
                    list(one), list(one.values()), color=colour_of(report, arm), linewidth=1.2
                )
    figure.supxlabel("optimizer step", fontsize=10, color=INK)
    figure.supylabel("validation reward", fontsize=10, color=INK)
    names = report.config.compare
    return save(
        figure,
        path,
        f"Validation reward per task, one line a seed: {names.treatment} orange, "
        f"{names.baseline} blue.",
        "curves",
    )


def pair_of(key: str) -> tuple[str, str]:
    """``cosine/code|math`` -> (code, math)."""
    first, _, second = key.partition("/")[2].partition("|")
    return first, second


def cosines(report: Report, path: Path) -> Figure | None:
    """Cosine between the tasks' gradients, averaged over steps and seeds, one matrix per arm."""
    import matplotlib.pyplot as plt
    import numpy as np

    keys = keys_with(report, "cosine/")
    if not keys:
        report.missing.append("cosine matrix: no progress.jsonl has cosine/<a>|<b>")
        return None
    names = sorted({name for key in keys for name in pair_of(key)})
    arms = sorted(report.found.curves)
    figure, grid = plt.subplots(
        1, len(arms), figsize=(3.9 * len(arms), 3.6), squeeze=False, layout="constrained"
    )
    matrices = {arm: np.full((len(names), len(names)), np.nan) for arm in arms}
    for arm, key in itertools.product(arms, keys):
        a, b = (names.index(name) for name in pair_of(key))
        values = [value for one in series_of(report, key).get(arm, []) for value in one.values()]
        matrices[arm][a, b] = matrices[arm][b, a] = np.mean(values) if values else np.nan
    scale = max(
        0.1, *(float(np.nanmax(np.abs(matrix), initial=0.0)) for matrix in matrices.values())
    )
    for axis, (arm, matrix) in zip(grid.flat, matrices.items(), strict=True):
        image = axis.imshow(matrix, cmap="PuOr", vmin=-scale, vmax=scale)
        for (row, column), value in np.ndenumerate(matrix):
            shown = "" if np.isnan(value) else f"{value:.2f}".replace("-0.00", "0.00")
            axis.text(
                column,
                row,
                shown,
                ha="center",
                va="center",
                fontsize=7,
                color="#ffffff" if abs(value) > 0.6 * scale else "#000000",
            )
        axis.set_xticks(range(len(names)), names, rotation=60, fontsize=8)
        axis.set_yticks(range(len(names)), names, fontsize=8)
        axis.set_title(arm)
    figure.colorbar(image, ax=grid.ravel().tolist(), label="cosine", shrink=0.8)
    return save(
        figure,
        path,
        "Cosine between the gradients of two tasks, mean over training and seeds; below "
        "0 they conflict.",
        "curves",
    )


def cosines_over_training(report: Report, path: Path) -> Figure | None:
    """The same cosines as they change: one row per pair, training from left to right in windows of
    steps, mean over seeds."""
    import matplotlib.pyplot as plt
    import numpy as np

    keys = keys_with(report, "cosine/")
    if not keys:
        return None  # said by the matrix
    arms = sorted(report.found.curves)
    figure, grid = plt.subplots(
        1,
        len(arms),
        figsize=(3.9 * len(arms), max(2.4, 0.9 + 0.2 * len(keys))),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    drawn: list[tuple[Any, Any]] = []
    for axis, arm in zip(grid.flat, arms, strict=True):
        rows, last = [], 1
        for key in keys:
            points = [
                (step, value)
                for one in series_of(report, key).get(arm, [])
                for step, value in one.items()
            ]
            last = max([last, *(step for step, _ in points)])
            columns = min(WINDOWS, last)
            sums = [
                [value for step, value in points if (step - 1) * columns // last == place]
                for place in range(columns)
            ]
            rows.append([float(np.mean(values)) if values else float("nan") for values in sums])
        table = np.array(rows)
        image = axis.imshow(
            table, cmap="PuOr", aspect="auto", extent=(0.5, last + 0.5, len(keys) - 0.5, -0.5)
        )
        drawn.append((image, np.nanmax(np.abs(table))))
        axis.set_yticks(range(len(keys)), [" | ".join(pair_of(key)) for key in keys], fontsize=8)
        axis.set_xlabel("optimizer step")
        axis.set_title(arm)
    strongest = max(value for _, value in drawn)
    for image, _ in drawn:
        image.set_clim(-strongest, strongest)  # one scale for both arms; 0 stays white
    figure.colorbar(drawn[0][0], ax=grid.ravel().tolist(), label="cosine")
    return save(
        figure,
        path,
        f"The same cosines over training, in up to {WINDOWS} windows of steps, mean over seeds.",
        "curves",
    )
