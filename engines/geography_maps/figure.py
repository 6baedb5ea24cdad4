"""The recovered map of one model: where the cities are, and where a probe reads them.

In: the cities, their parts, the readings. Out: ``map.svg`` and ``map.png``. Called by maps.py.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engines.geography_maps.cities import ATLANTIS, LEFT_OUT
from engines.shared.geography.cities.world import LATITUDES, LONGITUDES, World
from engines.shared.reporting.figures import GREY, INK, prepare, save
from engines.shared.reporting.look import SERIES

Array = np.ndarray[Any, np.dtype[Any]]

CONTINENTS = {
    "AS": ("Asia", SERIES[0][0]),
    "AF": ("Africa", SERIES[1][0]),
    "EU": ("Europe", SERIES[2][0]),
    "NA": ("North America", SERIES[3][0]),
    "SA": ("South America", "#e0a100"),
    "OC": ("Oceania", "#56b4e9"),
    "AN": ("Antarctica", GREY),
}
"""GeoNames' codes, with names and colours that the colour-blind tell apart; neither black nor
brown, which a dark page does not show where dots are pixels."""
ATLANTIS_STYLE = {"marker": "*", "color": INK, "s": 26, "linewidths": 0}
WIDEST_DOT, SMALLEST_DOT = 16.0, 2.0
"""Area of a city's dot, square points."""
MANY = 400
"""Cities from which dots are drawn as pixels: thousands of shapes would make a large file."""


@dataclass(frozen=True)
class Drawn:
    """What is drawn."""

    world: World
    parts: Array
    predicted: Array
    """(n, 2), tenths of a degree: readings of probes that were fitted without the city."""
    title: str
    """Which task and layer, and how good the map is."""


def draw(drawn: Drawn, folder: Path) -> None:
    """Write the figure: the true map on the left, the recovered one on the right."""
    prepare()
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(11, 3.9))
    # By hand: the automatic layouts put a legend and a line of text at the same place.
    figure.subplots_adjust(left=0.05, right=0.99, top=0.86, bottom=0.22, wspace=0.12)
    true = np.stack([drawn.world.x, drawn.world.y], axis=1)
    shown = drawn.parts != LEFT_OUT
    outside = beyond(drawn.predicted[shown])
    note = f", {outside} beyond the frame" if outside else ""
    for panel, places, name in (
        (panels[0], true, "where the cities are"),
        (panels[1], drawn.predicted, f"where the probe reads them{note}"),
    ):
        scatter(panel, drawn, places, shown)
        frame(panel)
        panel.set_title(name, fontsize=10)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.06),
        ncols=len(labels),
        fontsize=8,
        frameon=False,
        # The dots of many cities are too small for a legend.
        markerscale=2.0 if shown.sum() > MANY else 1.0,
        handletextpad=0.1,
    )
    figure.suptitle(drawn.title, fontsize=10, y=0.98)
    attribution = "\n".join(textwrap.wrap(drawn.world.attribution, 170))
    figure.text(0.5, 0.055, attribution, fontsize=6.5, ha="center", va="top")
    save(figure, folder / "map", drawn.title, "maps")


def beyond(places: Array) -> int:
    """How many places lie outside the frame."""
    ends = np.array([LONGITUDES, LATITUDES])
    return int(((places < ends[:, 0]) | (places > ends[:, 1])).any(axis=1).sum())


def scatter(panel: Any, drawn: Drawn, places: Array, shown: Array) -> None:
    """All shown cities at some places, one colour for each continent, Atlantis as stars."""
    of_continent = np.array([city.continent for city in drawn.world.cities])
    world = shown & (drawn.parts != ATLANTIS)
    size = float(np.clip(4000 / max(1, world.sum()), SMALLEST_DOT, WIDEST_DOT))
    for code, (name, colour) in CONTINENTS.items():
        rows = world & (of_continent == code)
        if rows.any():
            panel.scatter(
                *places[rows].T,
                s=size,
                color=colour,
                linewidths=0,
                label=name,
                rasterized=bool(world.sum() > MANY),
            )
    rows = shown & (drawn.parts == ATLANTIS)
    if rows.any():
        panel.scatter(*places[rows].T, **ATLANTIS_STYLE, label="Atlantis (not fitted)")


def frame(panel: Any) -> None:
    """The whole plane in equal units, in degrees."""
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    panel.set_xlim(*LONGITUDES)
    panel.set_ylim(*LATITUDES)
    panel.set_aspect("equal")
    panel.xaxis.set_major_locator(MultipleLocator(600))
    panel.yaxis.set_major_locator(MultipleLocator(300))
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 10:.0f}°"))
    panel.tick_params(labelsize=8)
    panel.grid(linewidth=0.3, alpha=0.4)
