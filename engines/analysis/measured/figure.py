"""The figure: a panel for each metric, in it a curve for each training.

In: what was measured. Out: the figure, as files in the folder ``figures/`` and as SVG for the page.
Called by ``__main__``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines.analysis.measured.load import Curve, Measured
from engines.shared.reporting.figures import BLUE, GREEN, INK, ORANGE, Figure, prepare, save

COLOURS = (BLUE, ORANGE, GREEN, "#cc79a7", "#e69f00", "#56b4e9")
"""After Okabe and Ito."""
COLUMNS = 3
NAMED = 12
"""With more colours than this the legend would be larger than the curves."""


def draw(measured: Measured, folder: Path) -> Figure:
    """The figure, written to ``folder`` as SVG and PNG."""
    prepare()
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    metrics = measured.metrics
    columns = min(COLUMNS, len(metrics))
    height = (len(metrics) + columns - 1) // columns
    figure, grid = plt.subplots(
        height,
        columns,
        figsize=(2.5 * columns + 0.5, 2.2 * height + 0.6),
        squeeze=False,
        layout="constrained",
    )
    colours = colours_of(measured.curves)
    for axis, metric in zip(grid.flat, metrics, strict=False):
        axis.set_title(metric, fontsize=9)
        axis.tick_params(labelsize=8)
        for curve in measured.curves:
            if curve.metric == metric:
                draw_curve(axis, curve, colours[curve.colour])
    for axis in grid.flat[len(metrics) :]:
        axis.set_visible(False)
    if 1 < len(colours) <= NAMED:
        legend(figure, colours)
    figure.supxlabel("step", fontsize=10, color=INK)
    caption = (
        "What the command measured over training; bars: one standard error, where it says one; "
        "star: the best checkpoint of each training, where it is said which values are better."
    )
    return save(figure, folder / "measured", caption, "scores")


def colours_of(curves: list[Curve]) -> dict[str, str]:
    """A colour for each value of the axis, in the order in which they come."""
    values = dict.fromkeys(curve.colour for curve in curves)
    return {value: COLOURS[place % len(COLOURS)] for place, value in enumerate(values)}


def draw_curve(axis: Any, curve: Curve, colour: str) -> None:
    """One curve in its panel."""
    steps = [one.scored.step for one in curve.values]
    heights = [one.value for one in curve.values]
    spreads = [one.row.spread or 0.0 for one in curve.values]
    axis.errorbar(
        steps,
        heights,
        spreads if any(spreads) else None,
        color=colour,
        marker="o",
        markersize=3,
        linewidth=1.4,
        elinewidth=0.8,
    )
    best = curve.best
    if best is not None:
        axis.plot(best.scored.step, best.value, "*", color=colour, markersize=9, zorder=5)


def legend(figure: Any, colours: dict[str, str]) -> None:
    """What each colour stands for, above the panels."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, label=value) for value, colour in colours.items()]
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=min(COLUMNS, len(handles)),
        frameon=False,
        fontsize=8,
        labelcolor=INK,
    )
