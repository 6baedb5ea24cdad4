"""Matrices as colours: improvements, differences, what a second task leaves of the first, and how
alike models are.

In: the report. Out: one figure each, or None without data. Called by draw.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engines.geography_report.report import CHOSEN, Matrix, Report
from engines.geography_report.tables import SHORT, row_name, signed
from engines.shared.geography.tasks import TASKS
from engines.shared.reporting.figures import BLUE, INK, ORANGE, Figure, save, tidy_scale
from engines.shared.reporting.statistics import Array

MIDDLE, UNDEFINED = "#f7f7f7", "#bdbdbd"
"""Colours of 0 and of cells without a value."""
GAIN_ENDS = 0.5
"""Ends of the scale of differences, as published."""
BROAD = 7.2
"""Inches: seven tasks with a number and its marks in each cell."""
MOST_WRITTEN = 12
"""A larger table of models has no numbers in its cells."""


@dataclass(frozen=True)
class Colours:
    """A scale of colours with its ends and its label."""

    low: float
    high: float
    label: str
    diverging: bool = True
    """From orange over white at the middle to blue; else from white to blue."""

    @property
    def map(self) -> Any:
        """matplotlib's colour map."""
        from matplotlib.colors import LinearSegmentedColormap

        ends = [ORANGE, MIDDLE, BLUE] if self.diverging else [MIDDLE, BLUE]
        colours = LinearSegmentedColormap.from_list("report", ends)
        colours.set_bad(UNDEFINED)
        return colours

    def is_dark(self, value: float) -> bool:
        """Whether a value's colour asks for white letters."""
        share = (value - self.low) / (self.high - self.low)
        return abs(share - 0.5) > 0.33 if self.diverging else share > 0.55


def draw_cells(
    axis: Any, values: Array, colours: Colours, marks: Sequence[Sequence[str]] | None
) -> Any:
    """The matrix as squares, with each value and its mark written in; ``marks`` None: without any
    text."""
    image = axis.imshow(
        values,
        cmap=colours.map,
        vmin=colours.low,
        vmax=colours.high,
        aspect="auto",
    )
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)
    if marks is None:
        return image
    for (row, column), value in np.ndenumerate(values):
        # Black and white on the squares' own colours, whatever the page's scheme.
        known = not np.isnan(value)
        colour = "#ffffff" if known and colours.is_dark(float(value)) else "#000000"
        text = (signed(float(value)) if colours.diverging else f"{value:.2f}") if known else "-"
        axis.text(
            column,
            row,
            f"{text}{marks[row][column]}",
            ha="center",
            va="center",
            fontsize=8,
            color=colour,
        )
    return image


def labelled(axis: Any, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Names of rows and columns, the columns' above the matrix."""
    axis.set_xticks(range(len(columns)), columns, fontsize=9)
    axis.set_yticks(range(len(rows)), rows, fontsize=9)
    axis.xaxis.tick_top()
    axis.xaxis.set_label_position("top")


def matrix_figure(matrix: Matrix, path: Path, colours: Colours, caption: str) -> Figure | None:
    """A matrix of trained tasks by asked tasks; None where all cells are undefined."""
    import matplotlib.pyplot as plt

    by_place = {(cell.trained, cell.task): cell for cell in matrix.cells}
    cells = [[by_place[row, task] for task in matrix.tasks] for row in matrix.rows]
    values = np.array(
        [[np.nan if c.value is None else c.value.interval.value for c in row] for row in cells]
    )
    if np.isnan(values).all():
        return None
    called = {"synergy": "*", "negative transfer": "*"} if colours.diverging else {}
    marks = [
        [(" T" if cell.is_trained else "") + called.get(cell.verdict, "") for cell in row]
        for row in cells
    ]
    height = max(2.2, 1.1 + 0.3 * len(matrix.rows))
    width = min(BROAD, 2.3 + 0.7 * len(matrix.tasks))
    figure, axis = plt.subplots(figsize=(width, height), layout="constrained")
    image = draw_cells(axis, values, colours, marks)
    labelled(axis, [row_name(row) for row in matrix.rows], [SHORT[task] for task in matrix.tasks])
    axis.set_xlabel("asked about new cities")
    axis.set_ylabel("trained on")
    bar = figure.colorbar(
        image, ax=axis, label=colours.label, shrink=0.9, extend=ends(values, colours)
    )
    tidy_scale(bar)
    return save(figure, path, caption, "results")


def ends(values: Array, colours: Colours) -> str:
    """On which sides values go on beyond the scale."""
    known = values[~np.isnan(values)]
    below, above = bool((known < colours.low).any()), bool((known > colours.high).any())
    return {(True, True): "both", (True, False): "min", (False, True): "max"}.get(
        (below, above), "neither"
    )


TRAINED = "T: the task was trained. Grey: undefined or not evaluated."
IMPROVEMENT = Colours(0, 1.5, "normalised improvement", diverging=False)


def single_matrix(report: Report, path: Path) -> Figure | None:
    """Improvements of models of one task."""
    if report.transfer is None or report.transfer.singles is None:
        return None
    caption = (
        "Normalised improvement on questions about new cities after training on one task, mean "
        f"over seeds: 0 where the base began, 1 where it stands on known cities. {TRAINED}"
    )
    return matrix_figure(report.transfer.singles, path, IMPROVEMENT, caption)


def pair_matrix(report: Report, path: Path) -> Figure | None:
    """Improvements of models of two tasks."""
    if report.transfer is None or report.transfer.pairs is None:
        return None
    caption = f"The same after training on two tasks. {TRAINED}"
    return matrix_figure(report.transfer.pairs, path, IMPROVEMENT, caption)


def expected_matrix(report: Report, path: Path) -> Figure | None:
    """What the better specialist lets one expect."""
    if report.transfer is None or CHOSEN not in report.transfer.expected:
        return None
    caption = (
        "What the better of two specialists reaches, chosen on the validation questions of the "
        f"other seeds and scored on test questions. {TRAINED}"
    )
    return matrix_figure(report.transfer.expected[CHOSEN], path, IMPROVEMENT, caption)


def gain_matrix(report: Report, path: Path) -> Figure | None:
    """Actual minus expected."""
    if report.transfer is None or CHOSEN not in report.transfer.gains:
        return None
    colours = Colours(-GAIN_ENDS, GAIN_ENDS, "actual - expected improvement")
    caption = (
        "Actual minus expected improvement of models of two tasks, mean over seeds; blue is "
        "synergy, orange negative transfer, * marks cells whose interval is clear of 0 after the "
        f"correction. {TRAINED}"
    )
    return matrix_figure(report.transfer.gains[CHOSEN], path, colours, caption)


def kept_matrix(report: Report, path: Path) -> Figure | None:
    """What a second task leaves of the first, as a share of the base's lead over the constant."""
    import matplotlib.pyplot as plt

    names = list(TASKS)
    values = np.full((len(names), len(names)), np.nan)
    marks = [["" for _ in names] for _ in names]
    for one in report.kept:
        row, column = names.index(one.first), names.index(one.second)
        if one.share is not None:
            values[row, column] = one.share
            marks[row][column] = "*" if one.verdict in ("better", "worse") else ""
    if np.isnan(values).all():
        return None
    colours = Colours(-1, 1, "change as a share of the base's lead")
    figure, axis = plt.subplots(figsize=(BROAD, 3.6), layout="constrained")
    image = draw_cells(axis, values, colours, marks)
    for place in range(len(names)):
        # A task after itself is no pair.
        axis.texts[place * (len(names) + 1)].set_visible(False)
    shown = [SHORT[name] for name in names]
    labelled(axis, shown, shown)
    axis.set_xlabel("trained second")
    axis.set_ylabel("trained first, and asked")
    bar = figure.colorbar(
        image, ax=axis, label=colours.label, shrink=0.9, extend=ends(values, colours)
    )
    tidy_scale(bar)
    caption = (
        "What a second task leaves of the first: change of the score on the first task as a share "
        "of the base's lead over the best constant answer; 0 nothing, -1 all of it is lost. * the "
        "interval is clear of 0 after the correction. Grey: not run, or the base learned nothing."
    )
    return save(figure, path, caption, "results")


def similarity_tables(report: Report, path: Path) -> Figure | None:
    """Both measures over all pairs of models."""
    import matplotlib.pyplot as plt

    found = report.similarity
    if found is None:
        return None
    names = [model.name for model in found.models]
    written = len(names) <= MOST_WRITTEN
    side = max(1.5, (0.4 if written else 0.13) * len(names))
    figure, axes = plt.subplots(2, 1, figsize=(side + 2.7, 2 * side + 1.2), layout="constrained")
    scales = (
        (found.cka, Colours(0, 1, "debiased CKA", diverging=False)),
        (found.procrustes, Colours(0, 1, "Procrustes distance", diverging=False)),
    )
    for axis, (values, colours) in zip(axes, scales, strict=True):
        marks = [["" for _ in names] for _ in names]
        image = draw_cells(axis, values, colours, marks if written else None)
        numbers = [str(place + 1) for place in range(len(names))]
        labelled(axis, [f"{name}  {place}" for name, place in zip(names, numbers, strict=True)], [])
        axis.set_xticks(range(len(names)), numbers)
        size = 8 if written else 5
        axis.tick_params(labelsize=size, colors=INK)
        tidy_scale(figure.colorbar(image, ax=axis, label=colours.label, shrink=0.9))
    caption = (
        f"How alike the models' states at layer {found.layer} are on {found.cities} real cities: "
        "debiased CKA (1: the same up to rotation and scale) and Procrustes distance of the first "
        "three components (0: the same shape)."
    )
    return save(figure, path, caption, "similarity")
