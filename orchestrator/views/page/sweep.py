"""A picture of the settings that a sweep has tried, with the best one marked.

In: the settings of a stage, the best one first. Out: SVG as text. Pure. Called by page.py.

One axis, or two of which one has few values: the metric over the first axis, a line for each value
of the second. More: parallel coordinates, a line for each setting from axis to axis, the metric
last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass

from jobs.gates import number
from jobs.ranking import Setting, varying
from jobs.stages import Scalar, literal
from orchestrator.views.page.curves import (
    HEADROOM,
    KEY_GAP,
    LEFT_MARGIN,
    PLOT_BOTTOM,
    RIGHT_MARGIN,
    SERIES,
    STEPS_LINE,
    THICK,
    THIN,
    TOP_MARGIN,
    WIDTH,
    grid,
    key,
    polyline,
)
from orchestrator.views.page.svg import Plot, shortened, svg, text

MOST_LINES = 8
"""Values of a second axis that are told apart by colour; of names as many are written out."""
MOST_SETTINGS = 300
"""Drawn at most, the best ones."""
POWERS = 30
"""Numbers whose largest is so many times the smallest are spread by their logarithms."""
DOT, SEED_DOT, RING = 3.5, 1.8, 7
"""Radius of a mean, of one seed's value, and of the ring around the best."""
LETTERS = 12
"""Of a value at an axis."""
WIDE = 720
"""Width of parallel coordinates, and their heights: names, tops and ends of the axes."""
NAMES_LINE, AXES_TOP, AXES_BOTTOM = 16, 40, 220
SIDE = 60
"""Free on both sides of the outer axes, for values."""
BEST_WIDTH = 3
BEST_COLOUR, OTHERS_COLOUR = SERIES[1], SERIES[0]
RING_COLOUR = "currentColor"
"""Unlike every line's."""


@dataclass(frozen=True)
class Scale:
    """Where the values of an axis lie, from 0 to 1."""

    values: tuple[Scalar, ...]
    """Each once: numbers from the smallest up, others as they first appear."""

    @property
    def numbers(self) -> list[float]:
        """The values as numbers; none where one of them is no number."""
        if any(isinstance(one, str | bool) for one in self.values):
            return []
        return [float(one) for one in self.values]

    @property
    def is_log(self) -> bool:
        """Whether they span powers of ten."""
        found = self.numbers
        return bool(found) and found[0] > 0 and found[-1] / found[0] >= POWERS

    def place(self, value: Scalar) -> float:
        """Where a value lies; one alone in the middle."""
        if len(self.values) < 2:
            return 0.5
        found = self.numbers
        if not found:
            return self.values.index(value) / (len(self.values) - 1)
        low, high, at = found[0], found[-1], float(value)
        if self.is_log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low)

    def marks(self) -> list[tuple[float, str]]:
        """Where something is written: at every name of few, else at both ends."""
        shown = self.values
        if self.numbers or len(shown) > MOST_LINES:
            shown = (shown[0], shown[-1])
        return [(self.place(one), shortened(literal(one), LETTERS)) for one in shown]


def scale_of(settings: Sequence[Setting], axis: str) -> Scale:
    """The scale of one axis."""
    values = tuple(dict.fromkeys(one.axes[axis] for one in settings if axis in one.axes))
    if any(isinstance(one, str | bool) for one in values):
        return Scale(values)
    return Scale(tuple(sorted(values)))


def sweep(
    settings: Sequence[Setting], metric: str, name: str, without: Set[str] = frozenset()
) -> str:
    """The picture; empty where fewer than two settings have a value. ``without``: axes that are not
    drawn."""
    drawn = [one for one in settings if one.values][:MOST_SETTINGS]
    axes = [axis for axis in varying(drawn) if all(axis in one.axes for one in drawn)]
    axes = [axis for axis in axes if axis not in without]
    if len(drawn) < 2 or not axes:
        return ""
    counts = {axis: len(scale_of(drawn, axis).values) for axis in axes}
    # The axis with more values runs from left to right, the other one is told by colour.
    first, *rest = sorted(axes, key=lambda axis: -counts[axis])
    if not rest:
        return over_axis(drawn, first, None, metric, name)
    # Of points that were drawn at random no two lie on a line of the second axis.
    few = counts[rest[0]] <= MOST_LINES and len(drawn) >= 2 * counts[rest[0]]
    if len(rest) == 1 and few:
        return over_axis(drawn, first, rest[0], metric, name)
    return parallel(drawn, axes, metric, name)


def spanned(settings: Sequence[Setting]) -> tuple[float, float]:
    """What the values span, with some room."""
    values = [value for one in settings for value in one.values]
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0
    return low - HEADROOM * span, high + HEADROOM * span


def over_axis(
    settings: Sequence[Setting], first: str, second: str | None, metric: str, name: str
) -> str:
    """The metric over an axis: means joined by a line, every seed as a small dot."""
    scale = scale_of(settings, first)
    area = Plot(
        left=LEFT_MARGIN,
        # The outermost dots are whole.
        right=WIDTH - RIGHT_MARGIN - RING,
        top=TOP_MARGIN,
        bottom=PLOT_BOTTOM,
        x_range=(-HEADROOM, 1.0),
        y_range=spanned(settings),
    )
    lines: dict[str, list[Setting]] = {}
    # Left to right, as the lines run.
    for one in sorted(settings, key=lambda one: scale.place(one.axes[first])):
        label = metric if second is None else f"{second}={literal(one.axes[second])}"
        lines.setdefault(label, []).append(one)
    colours = dict(zip(lines, SERIES, strict=False))
    body = grid(area)
    for label, members in lines.items():
        points = [(scale.place(one.axes[first]), mean_of(one)) for one in members]
        # Between names there is nothing, so no line.
        if len(points) > 1 and scale.numbers:
            body.append(polyline(area, points, colours[label], THIN))
        for one in members:
            body += dots(area, scale.place(one.axes[first]), one, colours[label])
    best = settings[0]
    body.append(ring(area.x(scale.place(best.axes[first])), area.y(mean_of(best))))
    for place, words in scale.marks():
        body.append(text(area.x(place), area.bottom + STEPS_LINE, words, "small", "middle"))
    words = f"{first}, logarithmic" if scale.is_log else first
    # Names stand below the axis from end to end, numbers at its ends.
    middle = (area.left + area.right) / 2
    x, y = (middle, area.bottom + STEPS_LINE) if scale.numbers else (middle, TOP_MARGIN - 2)
    body.append(text(x, y, words, "small", "middle"))
    entries, bottom = key({**colours, best_words(best, metric): RING_COLOUR})
    return svg(WIDTH, bottom + KEY_GAP, [*body, *entries], name)


def mean_of(one: Setting) -> float:
    """The mean of a setting that has values."""
    return float(one.mean or 0.0)


def dots(area: Plot, place: float, one: Setting, colour: str) -> list[str]:
    """The mean, and the values that it is of."""
    x = area.x(place)
    drawn = [dot(x, area.y(mean_of(one)), DOT, colour)]
    if len(one.values) > 1:
        drawn += [dot(x, area.y(value), SEED_DOT, colour) for value in one.values]
    return drawn


def dot(x: float, y: float, radius: float, colour: str) -> str:
    """A filled circle."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>'


def ring(x: float, y: float) -> str:
    """What marks the best one."""
    return (
        f'<circle class="best" cx="{x:.1f}" cy="{y:.1f}" r="{RING}" fill="none" '
        f'stroke="{RING_COLOUR}" stroke-width="{THICK}"/>'
    )


def best_words(best: Setting, metric: str) -> str:
    """``best: val_loss 0.0123``."""
    return f"best: {metric} {number(mean_of(best))}"


def parallel(settings: Sequence[Setting], axes: Sequence[str], metric: str, name: str) -> str:
    """Parallel coordinates (Inselberg 1985): a line for each setting, the best one on top."""
    scales = {axis: scale_of(settings, axis) for axis in axes}
    low, high = spanned(settings)
    area = Plot(
        left=SIDE,
        right=WIDE - SIDE,
        top=AXES_TOP,
        bottom=AXES_BOTTOM,
        x_range=(0.0, float(len(axes))),
    )
    body = []
    marks = [(axis, scales[axis].marks()) for axis in axes]
    ends = [(0.0, number(low)), (1.0, number(high))]
    for column, (title, shown) in enumerate([*marks, (metric, ends)]):
        body += upright(area, float(column), title, shown)
    # Backwards: the best ones lie on top of the others.
    for rank, one in reversed(list(enumerate(settings))):
        places = [scales[axis].place(one.axes[axis]) for axis in axes]
        places.append((mean_of(one) - low) / (high - low))
        points = [(float(column), place) for column, place in enumerate(places)]
        is_best = rank == 0
        colour = BEST_COLOUR if is_best else OTHERS_COLOUR
        line = polyline(area, points, colour, BEST_WIDTH if is_best else THIN)
        body.append(f'<g class="{"best" if is_best else "faint"}">{line}</g>')
    words = best_words(settings[0], metric)
    body.append(text(SIDE, AXES_BOTTOM + STEPS_LINE + KEY_GAP, words, "small"))
    return svg(WIDE, AXES_BOTTOM + 2 * STEPS_LINE + KEY_GAP, body, name)


def upright(area: Plot, column: float, title: str, marks: Sequence[tuple[float, str]]) -> list[str]:
    """One axis from bottom to top with its values on its left."""
    x = area.x(column)
    ends = f'x1="{x:.1f}" x2="{x:.1f}" y1="{area.top}" y2="{area.bottom}"'
    drawn = [f'<line class="grid" {ends}/>']
    drawn.append(text(x, NAMES_LINE, shortened(title, 2 * LETTERS), "small name", "middle"))
    for place, words in marks:
        drawn.append(text(x - 4, area.y(place) + 4, words, "small", "end"))
    return drawn
