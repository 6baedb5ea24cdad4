"""Figures of reports: drawn once, as SVG whose lines and words take the page's own colours, and as
PNG.

In: a figure of matplotlib's. Out: its files, and a ``Figure`` with the SVG for a page. Called by
    the figures of every report engine. Light: matplotlib is loaded when something is drawn.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engines.shared.reporting.look import GREY as GREY_PAIR
from engines.shared.reporting.look import MOST_TICKS, SERIES, STEPS, limits, variable, word_variable

BLUE, ORANGE, GREEN = (light for light, _ in SERIES[:3])
"""First series and on; a page says them itself, for its scheme."""
GREY = GREY_PAIR[0]
INK, PAPER, GRID = "#010203", "#fdfefd", "#e3e6ea"
"""Stand for the page's colours of text, ground and grid lines while matplotlib draws."""
WIDE, NARROW, PAIR = 5.8, 4.0, 4.5
"""Inches of a figure: 560 pixels of a page, at which its words are as large as the page's; of one
panel, as wide as a phone; of two small panels beside each other, on a phone a little smaller."""
THICK, THIN, DOT = 2.0, 1.1, 3.0
"""Width of a mean's and of a single line, and size of a point."""
BAND = 0.14
"""How dense an interval's band is."""
NAME_GAP = 13.0
"""Least distance between two names at the ends of lines, in points."""


@dataclass(frozen=True)
class Figure:
    """One drawn figure."""

    name: str
    """Of its files: ``figures/<name>.svg`` and ``.png``."""
    caption: str
    svg: str
    source: str
    """Which of a report's sources it shows."""


def prepare() -> None:
    """Set matplotlib up for reports: no display, no frame, words as words."""
    import matplotlib as mpl

    # Nodes have no display.
    mpl.use("Agg")
    mpl.rcParams.update(
        {
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.titlelocation": "left",
            "font.size": 9,
            "axes.titlesize": 9,
            "axes.labelsize": 9,
            "legend.fontsize": 9,
            "legend.frameon": False,
            "grid.color": GRID,
            "grid.linewidth": 0.8,
            "xtick.major.size": 3,
            "ytick.major.size": 0,
            "figure.dpi": 130,
            "figure.constrained_layout.h_pad": 0.09,
            "figure.constrained_layout.w_pad": 0.09,
            # Letters stay text, which a reader can search and copy, instead of outlines.
            "svg.fonttype": "none",
            # Ids are hashes with a salt: a fixed one makes the same figure the same file.
            "svg.hashsalt": "report",
            "font.family": "sans-serif",
            **dict.fromkeys(
                ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"),
                INK,
            ),
        }
    )


def tidy(*axes: Any, across: bool = True, up: bool = True, whole: bool = True) -> None:
    """Round ticks, lines at those of the vertical axis, and limits by what is drawn, bands
    included.

    Args:
        axes: Panels with the same limits.
        across: Whether there are numbers across, such as steps.
        up: Whether the vertical axis has numbers.
        whole: Whether those across are whole, as steps are.
    """
    from matplotlib.ticker import MaxNLocator

    ends = limits(float(end) for axis in axes for end in axis.dataLim.intervaly)
    for axis in axes:
        if across:
            axis.xaxis.set_major_locator(MaxNLocator(MOST_TICKS, steps=STEPS, integer=whole))
        if up:
            axis.set_ylim(*ends)
            # All lies inside, and what lies at an end is drawn whole.
            for line in axis.lines:
                line.set_clip_on(False)
            axis.yaxis.set_major_locator(MaxNLocator(MOST_TICKS, steps=STEPS))
            axis.spines["left"].set_visible(False)
            axis.grid(axis="y")


def tidy_scale(bar: Any) -> None:
    """Round ticks of a colour bar, and no frame."""
    from matplotlib.ticker import MaxNLocator

    bar.locator = MaxNLocator(4, steps=STEPS)
    bar.update_ticks()
    bar.outline.set_visible(False)


def name_ends(axis: Any, ends: Sequence[tuple[float, str, str]]) -> None:
    """Names at the right end of lines, moved apart where the lines end alike; after ``tidy``.

    Args:
        ends: (value, name, colour).
    """
    low, high = axis.get_ylim()
    height = axis.get_window_extent().height * 72 / axis.figure.dpi
    gap, place = NAME_GAP * (high - low) / height, -float("inf")
    # Lowest first: each name is moved up until it clears the one below.
    for value, name, colour in sorted(ends):
        place = max(value, place + gap)
        axis.annotate(
            name,
            (1.01, place),
            xycoords=("axes fraction", "data"),
            color=colour,
            va="center",
            annotation_clip=False,
        )


def save(figure: Any, path: Path, caption: str, source: str) -> Figure:
    """Write both forms, close, and return the SVG for a page.

    Args:
        path: without an ending.
        source: which of the report's sources it shows.
    """
    import matplotlib.pyplot as plt

    figure.savefig(path.with_suffix(".png"), bbox_inches="tight", facecolor="white")
    stream = io.StringIO()
    # Without a date the same figure is the same file.
    figure.savefig(
        stream, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None}
    )
    plt.close(figure)
    drawn = stream.getvalue()
    path.with_suffix(".svg").write_text(drawn.replace(INK, "#000000").replace(PAPER, "#ffffff"))
    return Figure(path.name, caption, for_page(drawn, path.name), source)


def for_page(drawn: str, name: str) -> str:
    """The drawing as an element of a page, which says the colours itself."""
    svg = drawn[drawn.index("<svg") :].replace(INK, "currentColor").replace(PAPER, "Canvas")
    svg = svg.replace(GRID, "var(--line)")
    for place, (light, _) in enumerate(SERIES):
        words = partial(in_colour, light=light, variable=word_variable(place))
        svg = re.sub(r"<text [^>]*>", words, svg).replace(light, variable(place))
    # Several drawings share one page: their ids must not meet. Nothing outside the page is named,
    # not even by a comment.
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", svg)


def in_colour(element: re.Match[str], light: str, variable: str) -> str:
    """The beginning of an element with a page's colour in place of the one that was drawn."""
    return element[0].replace(light, variable)
