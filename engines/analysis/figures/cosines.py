"""The figures of the cosines between the tasks' gradients: as matrices, and over training.

In: the lines of progress that the trainings left. Out: one figure each. Called by draw.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engines.analysis.figures.curves import WINDOWS, Series, keys_with, series_of
from engines.analysis.report import Report
from engines.shared.reporting.figures import Figure, save, tidy, tidy_scale
from engines.shared.reporting.statistics import Array

PREFIX = "cosine/"
NORM = "gradient_norm/"
"""A key for each task of a training."""
UNKNOWN = "#bdbdbd"
LEAST_SCALE = 0.1
"""Colours of a matrix reach at least to this cosine: noise around 0 must not look strong."""


def pair_of(key: str) -> tuple[str, str]:
    """``cosine/code|math`` -> (code, math)."""
    first, _, second = key.removeprefix(PREFIX).partition("|")
    return first, second


def cosine_matrices(report: Report, path: Path) -> Figure | None:
    """Cosine between the tasks' gradients, averaged over steps and seeds, one matrix per arm."""
    import matplotlib.pyplot as plt
    import numpy as np

    keys = keys_with(report, PREFIX)
    if not keys:
        # A training of one task has no pair of gradients, and misses none.
        if len(keys_with(report, NORM)) != 1:
            report.missing.append("cosine matrix: no progress.jsonl has cosine/<a>|<b>")
        return None
    names = sorted({name for key in keys for name in pair_of(key)})
    matrices = {arm: mean_cosines(report, arm, names, keys) for arm in arms_of(report)}
    strongest = [float(np.nanmax(np.abs(m), initial=0.0)) for m in matrices.values()]
    # One scale for all arms, so that equal colours are equal cosines.
    scale = max(LEAST_SCALE, *strongest)
    figure, grid = plt.subplots(
        1,
        len(matrices),
        figsize=(2.7 * len(matrices) + 0.6, 2.9),
        squeeze=False,
        layout="constrained",
    )
    for axis, (arm, matrix) in zip(grid.flat, matrices.items(), strict=True):
        image = draw_matrix(axis, matrix, scale)
        axis.set_xticks(range(len(names)), names, rotation=60, fontsize=8)
        axis.set_yticks(range(len(names)), names, fontsize=8)
        axis.set_title(arm)
    tidy_scale(figure.colorbar(image, ax=grid.ravel().tolist(), label="cosine", shrink=0.8))
    caption = (
        "Cosine between the gradients of two tasks, mean over training and seeds; below 0 they "
        "conflict."
    )
    return save(figure, path, caption, "curves")


def arms_of(report: Report) -> list[str]:
    """Arms with a training, in the order of the panels."""
    return sorted(report.inputs.curves)


def mean_cosines(report: Report, arm: str, names: Sequence[str], keys: Sequence[str]) -> Array:
    """A symmetric matrix, tasks by tasks; NaN where an arm has no value."""
    import numpy as np

    matrix = np.full((len(names), len(names)), np.nan)
    for key in keys:
        row, column = (names.index(name) for name in pair_of(key))
        seeds = series_of(report, key).get(arm, [])
        # All steps of all seeds weigh the same.
        values = [value for series in seeds for value in series.values()]
        if values:
            matrix[row, column] = matrix[column, row] = np.mean(values)
    return matrix


def draw_matrix(axis: Any, matrix: Array, scale: float) -> Any:
    """The matrix as colours from -``scale`` to ``scale``, each value written into its square."""
    import numpy as np

    image = axis.imshow(matrix, cmap=cosine_colours(), vmin=-scale, vmax=scale)
    bare(axis)
    for (row, column), value in np.ndenumerate(matrix):
        text = "" if np.isnan(value) else f"{value:.2f}".replace("-0.00", "0.00")
        # The ends of the scale are dark.
        colour = "#ffffff" if abs(value) > 0.6 * scale else "#000000"
        axis.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    return image


def cosine_colours() -> Any:
    """From orange, where tasks conflict, over white to purple; grey where there is no value."""
    from matplotlib import colormaps

    colours = colormaps["PuOr"].copy()
    colours.set_bad(UNKNOWN)
    return colours


def bare(axis: Any) -> None:
    """Without a frame, whose lines would be taken for cells."""
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)


def cosines_over_training(report: Report, path: Path) -> Figure | None:
    """The same cosines as they change: one row per pair, training from left to right in windows of
    steps, mean over seeds."""
    import matplotlib.pyplot as plt
    import numpy as np

    keys = keys_with(report, PREFIX)
    if not keys:
        return None  # the matrices have said so
    arms = arms_of(report)
    figure, grid = plt.subplots(
        1,
        len(arms),
        figsize=(2.4 * len(arms) + 1.6, max(2.4, 0.9 + 0.18 * len(keys))),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    images, strongest = [], []
    for axis, arm in zip(grid.flat, arms, strict=True):
        table, last = windows_of(report, arm, keys)
        extent = (0.5, last + 0.5, len(keys) - 0.5, -0.5)
        images.append(axis.imshow(table, cmap=cosine_colours(), aspect="auto", extent=extent))
        tidy(axis, up=False)
        bare(axis)
        strongest.append(np.nanmax(np.abs(table)))
        axis.set_yticks(range(len(keys)), [" | ".join(pair_of(key)) for key in keys], fontsize=8)
        axis.set_xlabel("optimizer step")
        axis.set_title(arm)
    for image in images:
        # One scale for all arms; 0 stays white.
        image.set_clim(-max(strongest), max(strongest))
    tidy_scale(figure.colorbar(images[0], ax=grid.ravel().tolist(), label="cosine", shrink=0.8))
    caption = (
        f"The same cosines over training, in up to {WINDOWS} windows of steps, mean over seeds."
    )
    return save(figure, path, caption, "curves")


def windows_of(report: Report, arm: str, keys: Sequence[str]) -> tuple[Array, int]:
    """The mean cosine of each pair in each window of steps, pairs by windows, and the last step."""
    import numpy as np

    rows, last = [], 1
    for key in keys:
        seeds = series_of(report, key).get(arm, [])
        last = max([last, *(step for series in seeds for step in series)])
        rows.append(window_means(seeds, last, min(WINDOWS, last)))
    return np.array(rows), last


def window_means(seeds: Sequence[Series], last: int, windows: int) -> list[float]:
    """The mean over seeds and steps in each window of the steps 1 to ``last``; NaN for none."""
    import numpy as np

    values: list[list[float]] = [[] for _ in range(windows)]
    for series in seeds:
        for step, value in series.items():
            # Step 0 is the model before training and in no window.
            if step >= 1:
                values[(step - 1) * windows // last].append(value)
    return [float(np.mean(window)) if window else float("nan") for window in values]
