"""The figure: a panel for each metric, in it a curve for each training.

In: what was measured. Out: the figure, as files in the folder ``figures/`` and as SVG for the page.
Called by ``__main__``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines.analysis.measured.load import Curve, Measured
from engines.shared.reporting.figures import (
    DOT,
    INK,
    NARROW,
    PAIR,
    PAPER,
    THIN,
    Figure,
    prepare,
    save,
    tidy,
)
from engines.shared.reporting.look import LINES, SEED, Look, looks_of

COLUMNS = 2
"""Panels beside each other, and names in a row of the legend."""
SHORT = 26
"""Letters of a name of which two fit beside each other."""
PANEL, STEP, NAME = 1.9, 0.4, 0.19
"""Inches of height: of a row of panels, of the name of their axis, of a row of the legend."""
NAMED = 12
"""With more looks than this the legend would be larger than the curves."""


def draw(measured: Measured, folder: Path, axis: str) -> Figure:
    """The figure, written to ``folder`` as SVG and PNG; the values of ``axis`` have the colours
    where the trainings have it."""
    prepare()
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    metrics = measured.metrics
    columns = min(COLUMNS, len(metrics))
    height = (len(metrics) + columns - 1) // columns
    looks = named_looks(measured.curves, axis)
    named = -(-len(looks) // names_in_row(looks)) if 1 < len(looks) <= NAMED else 0
    figure, grid = plt.subplots(
        height,
        columns,
        figsize=(PAIR if columns > 1 else NARROW, PANEL * height + STEP + NAME * named),
        squeeze=False,
        layout="constrained",
    )
    for panel, metric in zip(grid.flat, metrics, strict=False):
        panel.set_title(metric.replace("_", " "))
        for curve in measured.curves:
            if curve.metric == metric:
                draw_curve(panel, curve, looks[setting(curve)])
        tidy(panel)
    for panel in grid.flat[len(metrics) :]:
        panel.set_visible(False)
    if named:
        legend(figure, looks)
    figure.supxlabel("step", fontsize=9, color=INK)
    caption = (
        "What the command measured over training, a line for each seed; bars: one standard error, "
        "where it says one; star: the best checkpoint of each training, where it is said which "
        "values are better."
    )
    return save(figure, folder / "measured", caption, "scores")


def setting(curve: Curve) -> str:
    """What tells a training apart from those that are no other seed of it."""
    axes = curve.values[0].scored.axes
    words = [f"{axis}={value}" for axis, value in axes.items() if axis != SEED]
    return ", ".join(words) or curve.label


def named_looks(curves: list[Curve], axis: str) -> dict[str, Look]:
    """A look for each setting, in the order in which they come."""
    settings: dict[str, dict[str, object]] = {}
    for curve in curves:
        axes = {name: v for name, v in curve.values[0].scored.axes.items() if name != SEED}
        # Trainings without axes differ in their names.
        settings.setdefault(setting(curve), dict(axes) or {"training": curve.label})
    looks = looks_of(list(settings.values()), prefer=axis)
    return dict(zip(settings, looks, strict=True))


def draw_curve(panel: Any, curve: Curve, look: Look) -> None:
    """One curve in its panel."""
    steps = [one.scored.step for one in curve.values]
    heights = [one.value for one in curve.values]
    spreads = [one.row.spread or 0.0 for one in curve.values]
    panel.errorbar(
        steps,
        heights,
        spreads if any(spreads) else None,
        color=look.light,
        linestyle=LINES[look.line],
        marker="o",
        markersize=DOT,
        linewidth=THIN,
        elinewidth=0.8,
    )
    best = curve.best
    if best is not None:
        panel.plot(
            best.scored.step,
            best.value,
            "*",
            color=look.light,
            markersize=9,
            zorder=5,
            markeredgecolor=PAPER,
            markeredgewidth=0.6,
        )


def names_in_row(looks: dict[str, Look]) -> int:
    """How many names stand beside each other in the legend."""
    return COLUMNS if max(map(len, looks)) <= SHORT else 1


def legend(figure: Any, looks: dict[str, Look]) -> None:
    """What each look stands for, above the panels."""
    from matplotlib.lines import Line2D

    handles = []
    for name, look in looks.items():
        handles.append(Line2D([], [], color=look.light, ls=LINES[look.line], label=name))
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=names_in_row(looks),
        labelcolor=INK,
    )
