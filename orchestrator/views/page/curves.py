"""Curves of one metric of a run's jobs over their steps, with a key.

In: a ``Curve`` per job. Out: SVG as text. Pure. Called by page.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from orchestrator.views.page.svg import Plot, svg, text

WIDTH = 460
LEFT_MARGIN, RIGHT_MARGIN, TOP_MARGIN = 56, 12, 12
PLOT_BOTTOM = 190
HEADROOM = 0.05
"""Free above and below the curves, as a part of what they span."""
GRID = (0, 0.5, 1)
"""Where the horizontal lines are, from the bottom up."""
MOST_POINTS = 160
"""Of a curve: there is not room for more."""
# Okabe and Ito's colours can be told apart with the common kinds of colour blindness.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d00", "#7f7f7f")
"""Colours of curves after Okabe and Ito."""
THICK, THIN, DOT = 1.6, 1, 5
"""Width of a line among few, among many, and of a curve that is a single point."""
VALUE_GAP, VALUE_LINE = 6, 4
"""Of a value beside its grid line: to the left of the plot, and its base line below the grid
line."""
STEPS_LINE = 16
"""Base line of the words at the axis, below the plot."""
KEY_TOP, KEY_LINE = 34, 16
"""First line of the key below the plot, and from a line to the next."""
LETTER_WIDTH = 6.6
"""Of the font on average; the key breaks its lines by it."""
SWATCH_WIDTH, SWATCH_HEIGHT = 12, 4
SWATCH_GAP = 4
SWATCH_RISE, WORDS_RISE = 8, 3
"""Of the swatch and of the words, from the bottom of a line of the key up."""
KEY_GAP = 8
"""Between two entries of the key."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One metric of one job over its steps."""

    label: str
    """Its arm; curves of one label share a colour."""
    points: Sequence[tuple[float, float]]


Line = tuple[str, list[tuple[float, float]]]
"""A label and the points that are drawn."""


def plot(curves: Sequence[Curve], name: str) -> str:
    """Curves of one metric, a colour for each label, with a key."""
    lines = [(curve.label, thinned(curve.points)) for curve in curves if curve.points]
    area = area_of(lines)
    labels = list(dict.fromkeys(label for label, _ in lines))
    if len(labels) > len(SERIES):
        # Too many to tell apart: what can be seen is what they do together.
        labels = [f"{len(lines)} jobs"]
        lines = [(labels[0], points) for _, points in lines]
    colours = dict(zip(labels, SERIES, strict=False))
    # About two seeds of each arm can be followed with the eye; more are a band.
    width = THICK if len(lines) <= 2 * len(labels) else THIN
    body = grid(area)
    for label, points in lines:
        body.append(polyline(area, points, colours[label], width))
    body.append(steps_text(area, last_step(lines)))
    entries, bottom = key(colours)
    return svg(WIDTH, bottom + KEY_GAP, [*body, *entries], name)


def steps_text(area: Plot, last: float) -> str:
    """What the axis of the steps spans."""
    middle = (LEFT_MARGIN + WIDTH) / 2
    return text(middle, area.bottom + STEPS_LINE, f"step, 0 to {last:g}", "small", "middle")


def area_of(lines: Sequence[Line]) -> Plot:
    """The plot area of these curves: x from 0, y with some room."""
    values = [y for _, points in lines for _, y in points]
    low, high = min(values), max(values)
    # Curves that are all flat have room by their value; at 0 anything will do.
    span = (high - low) or abs(high) or 1.0
    return Plot(
        left=LEFT_MARGIN,
        right=WIDTH - RIGHT_MARGIN,
        top=TOP_MARGIN,
        bottom=PLOT_BOTTOM,
        x_range=(0.0, last_step(lines) or 1.0),
        y_range=(low - HEADROOM * span, high + HEADROOM * span),
    )


def last_step(lines: Sequence[Line]) -> float:
    """The last step of all curves."""
    return max(x for _, points in lines for x, _ in points)


def grid(area: Plot) -> list[str]:
    """Horizontal lines with their values."""
    low, high = area.y_range
    height = area.bottom - area.top
    drawn = []
    for part in GRID:
        y = area.bottom - part * height
        value = low + part * (high - low)
        ends = f'x1="{area.left}" x2="{area.right}" y1="{y:.1f}" y2="{y:.1f}"'
        drawn.append(f'<line class="grid" {ends}/>')
        drawn.append(text(area.left - VALUE_GAP, y + VALUE_LINE, f"{value:.3g}", "small", "end"))
    return drawn


def polyline(area: Plot, points: Sequence[tuple[float, float]], colour: str, width: float) -> str:
    """One curve; a single point is a dot."""
    # A line from a point to itself, which its round cap makes a dot.
    if len(points) == 1:
        points, width = [*points, *points], DOT
    places = " ".join(f"{area.x(x):.1f} {area.y(y):.1f}" for x, y in points)
    return (
        f'<polyline fill="none" stroke="{colour}" stroke-width="{width}" '
        f'stroke-linecap="round" points="{places}"/>'
    )


def key(colours: dict[str, str]) -> tuple[list[str], float]:
    """What each colour stands for, in as many lines as it needs, and where the last line ends."""
    drawn = []
    x, y = float(LEFT_MARGIN), float(PLOT_BOTTOM + KEY_TOP)
    for label, colour in colours.items():
        words_from = SWATCH_WIDTH + SWATCH_GAP
        width = words_from + LETTER_WIDTH * len(label) + KEY_GAP
        if x + width > WIDTH:
            x = float(LEFT_MARGIN)
            y += KEY_LINE
        place = f'x="{x:.1f}" y="{y - SWATCH_RISE}"'
        size = f'width="{SWATCH_WIDTH}" height="{SWATCH_HEIGHT}"'
        drawn.append(f'<rect {place} {size} fill="{colour}"/>')
        drawn.append(text(x + words_from, y - WORDS_RISE, label, "small"))
        x += width
    return drawn, y


def thinned(
    points: Sequence[tuple[float, float]], most: int = MOST_POINTS
) -> list[tuple[float, float]]:
    """At most so many points; of more the means of neighbours."""
    if len(points) <= most:
        return list(points)
    # Divides the points into ``most`` runs of neighbours, whose lengths differ by one at most.
    edges = [part * len(points) // most for part in range(most + 1)]
    means = []
    for low, high in pairwise(edges):
        part = points[low:high]
        mean_x = sum(x for x, _ in part) / len(part)
        mean_y = sum(y for _, y in part) / len(part)
        means.append((mean_x, mean_y))
    return means
