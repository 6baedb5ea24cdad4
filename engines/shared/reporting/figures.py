"""Figures of reports: drawn once, as SVG whose lines and words take the page's own colour, and as
PNG.

In: a figure of matplotlib's. Out: its files, and a ``Figure`` with the SVG for a page. Called by
    the figures of every report engine. Light: matplotlib is loaded when something is drawn.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Colours that the colour-blind tell apart, after Okabe and Ito.
BLUE, ORANGE = "#0072b2", "#d55e00"
"""First and second series; a page lightens them for its dark scheme."""
GREEN, GREY = "#009e73", "#888888"
INK = "#010203"
"""Stands for the page's text colour while matplotlib draws."""


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
            "font.size": 10,
            "figure.dpi": 130,
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
    path.with_suffix(".svg").write_text(drawn.replace(INK, "#000000"))
    # A page takes the element alone, and says the colours itself.
    svg = drawn[drawn.index("<svg") :].replace(INK, "currentColor")
    svg = svg.replace(BLUE, "var(--baseline)").replace(ORANGE, "var(--treatment)")
    # Several drawings share one page: their ids must not meet. Nothing outside the page is named,
    # not even by a comment.
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{path.name}-", svg)
    return Figure(path.name, caption, svg, source)
