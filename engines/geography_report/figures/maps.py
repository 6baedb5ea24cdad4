"""The maps that probes recover from the models, side by side.

In: what the maps' jobs left. Out: one figure, or None without maps. Called by draw.py.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from engines.geography_report.load import Finished
from engines.geography_report.report import Report
from engines.geography_report.similarity.states import ATLANTIS, FIT, Cities, read_cities
from engines.geography_report.text import attribution
from engines.shared.reporting.figures import ORANGE, Figure, save, tidy_scale

COLUMNS = 2
WEST, EAST, SOUTH, NORTH = -1900, 1900, -750, 900
"""What of the plane is shown, tenths of a degree; no city of 100,000 people lies south of -55
degrees."""
NEW = "D"
SIZE = 3.0


def map_grid(report: Report, path: Path) -> Figure | None:
    """One panel per model: every city that no probe was fitted on, where the probe reads it."""
    import matplotlib.pyplot as plt

    maps = report.inputs.maps
    models = [model for model in report.inputs.ordered if model.folder in maps]
    if not models:
        return None
    columns = min(COLUMNS, len(models))
    # One more for the true map; rounded up.
    rows = -(-(len(models) + 1) // columns)
    size = (2.5 * columns + 0.8, 1.4 * rows + 0.6)
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axis in grid.flat:
        axis.set_axis_off()
    first = read_cities(maps[models[0].folder].out)
    shown = panel(grid.flat[0], first, truth=True)
    island = "\ndiamonds: Atlantis" if (first.part == ATLANTIS).any() else ""
    grid.flat[0].set_title(f"where they are{island}", fontsize=8)
    for axis, model in zip(list(grid.flat)[1:], models, strict=False):
        finished = maps[model.folder]
        report.inputs.sources.add("maps", finished.out / "cities.csv")
        panel(axis, read_cities(finished.out), truth=False)
        axis.set_title(f"{model.name}{quality(finished)}", fontsize=8)
    bar = figure.colorbar(shown, ax=grid, label="true longitude, degrees", shrink=0.8, aspect=30)
    tidy_scale(bar)
    # In the picture too: whoever hands it on alone hands on the notice.
    notice = textwrap.fill(attribution(report), 34 * columns)
    figure.supxlabel(notice, fontsize=6.5)
    caption = (
        "Where a linear probe of the best layer reads the cities that it was not fitted on, "
        "coloured by their true longitude; diamonds are the new cities of Atlantis, which no probe "
        f"was fitted on. R2 is that of held-out cities. {attribution(report)}"
    )
    return save(figure, path, caption, "maps")


def panel(axis: Any, cities: Cities, truth: bool) -> Any:
    """One map; returns what the colours' legend is made of."""
    places = cities.place if truth else cities.predicted
    new = cities.part == ATLANTIS
    known = cities.compared & (cities.part != FIT)
    points = axis.scatter(
        *places[known].T,
        c=cities.place[known, 0] / 10,
        cmap="viridis",
        vmin=WEST / 10,
        vmax=EAST / 10,
        s=SIZE,
        linewidths=0,
        # Thousands of points would make a page of many megabytes.
        rasterized=True,
    )
    axis.scatter(
        *places[new].T, color=ORANGE, marker=NEW, s=1.5 * SIZE, linewidths=0, rasterized=True
    )
    axis.set_xlim(WEST, EAST)
    axis.set_ylim(SOUTH, NORTH)
    axis.set_aspect("equal")
    axis.set_axis_on()
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(True)
        spine.set_linewidth(0.4)
    return points


def quality(finished: Finished) -> str:
    """R2 of the probe of the best layer along both axes, where it is known."""
    values = [finished.value("probe_r2", {"coordinate": name}) for name in ("x", "y")]
    known = [f"{value:.2f}" for value in values if value is not None]
    return f"\nR2 {' / '.join(known)}" if known else ""
