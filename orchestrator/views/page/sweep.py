"""A picture of the settings that a sweep has tried, with the best one marked.

In: the settings of a stage, the best one first. Out: SVG as text. Pure. Called by page.py.

One axis, or two of which one has few values: the metric over the first axis, a line for each value
of the second. More: a picture for each axis, a dot for each setting, and a bar for each value: its
mean over the settings that all values of the axis share, since a mean over whatever happens to be
there would compare other things.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property

from engines.shared.reporting.look import Look, limits, looks_of, variable
from jobs.gates import number
from jobs.ranking import Setting, varying
from jobs.stages import Point, Scalar, literal
from orchestrator.views.page.curves import (
    KEY_GAP,
    KEY_TOP,
    LEFT_MARGIN,
    NAME_LINE,
    PLOT_BOTTOM,
    RIGHT_MARGIN,
    STEPS_LINE,
    THIN,
    TOP_MARGIN,
    WIDTH,
    grid,
    key,
    line,
)
from orchestrator.views.page.svg import Plot, shortened, svg, text

MOST_LINES = 6
"""Values of a second axis that are told apart by colour."""
MOST_BARS = 8
"""Values of an axis that have a bar each."""
MOST_SETTINGS = 300
"""Drawn at most, the best ones."""
POWERS = 30
"""Numbers whose largest is so many times the smallest are spread by their logarithms."""
DOT, SEED_DOT, RING = 3.5, 1.8, 7
"""Radius of a mean, of one seed's value, and of the ring around the best."""
BAR = 11
"""Half the width of a bar."""
INSET = 22
"""From the ends of the plot to the outermost values."""
LETTERS, LETTER_WIDTH = 12, 6.5
"""Of a value at an axis, at most, and how wide one is."""


@dataclass(frozen=True)
class Scale:
    """Where the values of an axis lie, from 0 to 1."""

    values: tuple[Scalar, ...]
    """Each once: numbers from the smallest up, others as they first appear."""

    @cached_property
    def numbers(self) -> list[float]:
        """The values as numbers; none where one of them is no number."""
        if any(isinstance(one, str | bool) for one in self.values):
            return []
        return [float(one) for one in self.values]

    @cached_property
    def places(self) -> dict[Scalar, int]:
        """The place of each value among the others."""
        return {value: place for place, value in enumerate(self.values)}

    @cached_property
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
            return self.places[value] / (len(self.values) - 1)
        low, high, at = found[0], found[-1], float(value)
        if self.is_log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low)

    def marks(self, width: float) -> list[tuple[float, str]]:
        """Where a value is written on an axis so wide: at as many as have room, the ends first."""
        shown = [(self.place(one), shortened(literal(one), LETTERS)) for one in self.values]
        kept = [shown[-1]]
        for place, words in [shown[0], *shown[1:-1]] if len(shown) > 1 else []:
            apart = [abs(place - other) * width for other, _ in kept]
            lengths = [(len(words) + len(other) + 2) / 2 * LETTER_WIDTH for _, other in kept]
            if all(gap >= needed for gap, needed in zip(apart, lengths, strict=True)):
                kept.append((place, words))
        return sorted(kept)


def scale_of(settings: Sequence[Setting], axis: str) -> Scale:
    """The scale of one axis."""
    values = tuple(dict.fromkeys(one.axes[axis] for one in settings if axis in one.axes))
    if any(isinstance(one, str | bool) for one in values):
        return Scale(values)
    return Scale(tuple(sorted(values)))


@dataclass(frozen=True)
class Colours:
    """The axis that has the colours in the run's other pictures."""

    axis: str = ""
    looks: Mapping[str, Look] = field(default_factory=dict)
    """By its values, as text."""


NO_COLOURS = Colours()


def sweep(
    settings: Sequence[Setting],
    name: str,
    without: Set[str] = frozenset(),
    colours: Colours = NO_COLOURS,
) -> list[str]:
    """The pictures; none where fewer than two settings have a value.

    Args:
        without: Axes that are not drawn.
    """
    drawn = [one for one in settings if one.values][:MOST_SETTINGS]
    axes = [axis for axis in varying(drawn) if all(axis in one.axes for one in drawn)]
    axes = [axis for axis in axes if axis not in without]
    if len(drawn) < 2 or not axes:
        return []
    counts = {axis: len(scale_of(drawn, axis).values) for axis in axes}
    # The axis with more values runs from left to right, the other one is told by colour; one that
    # has the colours elsewhere has them here, too.
    has_colours = counts.get(colours.axis, MOST_LINES + 1) <= MOST_LINES
    first, *rest = sorted(
        axes, key=lambda axis: (has_colours and axis == colours.axis, -counts[axis])
    )
    if not rest:
        return [over_axis(drawn, (first, None), name, colours)]
    # Of points that were drawn at random no two lie on a line of the second axis.
    few = counts[rest[0]] <= MOST_LINES and len(drawn) >= 2 * counts[rest[0]]
    if len(rest) == 1 and few:
        known = colours if rest[0] == colours.axis else NO_COLOURS
        return [over_axis(drawn, (first, rest[0]), name, known)]
    return [alone(drawn, axis, f"{name}, by {axis}") for axis in axes]


def area_of(settings: Sequence[Setting]) -> Plot:
    """The plot area: the values of an axis from 0 to 1, the metric by what is drawn."""
    share = INSET / (WIDTH - LEFT_MARGIN - RIGHT_MARGIN - 2 * INSET)
    return Plot(
        left=LEFT_MARGIN,
        right=WIDTH - RIGHT_MARGIN,
        top=TOP_MARGIN,
        # The ring around a value at the bottom stands above the words of the axis.
        bottom=PLOT_BOTTOM - RING,
        x_range=(-share, 1.0 + share),
        y_range=limits(value for one in settings for value in one.values),
    )


def over_axis(
    settings: Sequence[Setting], axes: tuple[str, str | None], name: str, colours: Colours
) -> str:
    """The metric over the first axis, a colour for each value of the second: means joined by a
    line, every seed as a small dot."""
    first, second = axes
    scale, area = scale_of(settings, first), area_of(settings)
    lines: dict[str, list[Setting]] = {}
    # The lines in the order of the values that they stand for; left to right, as they run.
    ordered = sorted(settings, key=lambda one: scale.place(one.axes[first]))
    values = () if second is None else scale_of(settings, second).values
    if second is None:
        lines[""] = ordered
    for value in values:
        label = f"{second}={literal(value)}"
        lines[label] = [one for one in ordered if one.axes[second or ""] == value]
    points: list[Point] = [{"line": place} for place, _ in enumerate(lines)]
    looks = dict(zip(lines, looks_of(points), strict=True))
    if second is None:
        # Where all have one value of the axis that has the colours elsewhere, it has them here.
        shared = {literal(one.axes[colours.axis]) for one in settings if colours.axis in one.axes}
        if len(shared) == 1 and colours.axis != first:
            looks[""] = colours.looks.get(shared.pop(), looks[""])
    for value in values:
        label = f"{second}={literal(value)}"
        looks[label] = colours.looks.get(literal(value), looks[label])
    body = [*grid(area), *value_axis(area, scale, first)]
    for label, members in lines.items():
        places = [(scale.place(one.axes[first]), mean_of(one)) for one in members]
        # Between names there is nothing, so no line.
        if len(places) > 1 and scale.numbers:
            body.append(line(area, places, looks[label].css, "", THIN))
        for one in members:
            body += dots(area, scale.place(one.axes[first]), one, looks[label].css)
    best = settings[0]
    body.append(ring(area.x(scale.place(best.axes[first])), area.y(mean_of(best))))
    entries, bottom = key(looks) if second is not None else ([], PLOT_BOTTOM + NAME_LINE)
    return svg(WIDTH, bottom + KEY_GAP, [*body, *entries], name)


def value_axis(area: Plot, scale: Scale, name: str) -> list[str]:
    """The values below the plot, and the name of their axis."""
    words = f"{name}, logarithmic" if scale.is_log else name
    middle = (area.left + area.right) / 2
    drawn = [text(middle, PLOT_BOTTOM + NAME_LINE, words, "small", "middle")]
    width = area.width(1.0)
    for place, value in scale.marks(width):
        drawn.append(text(area.x(place), PLOT_BOTTOM + STEPS_LINE, value, "small", "middle"))
    return drawn


def mean_of(one: Setting) -> float:
    """The mean of a setting that has values."""
    assert one.mean is not None  # only settings with values are drawn
    return one.mean


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
        f'stroke="currentColor" stroke-width="1.6"/>'
    )


def best_words(best: Setting, metric: str) -> str:
    """``best: val_loss 0.0123``."""
    return f"best: {metric} {number(mean_of(best))}"


def alone(settings: Sequence[Setting], axis: str, name: str) -> str:
    """What one axis changes: a dot for each setting, the best one in a ring, and where the axis has
    few values a bar for each, its mean over the settings that all of them share."""
    scale, area = scale_of(settings, axis), area_of(settings)
    body = [*grid(area), *value_axis(area, scale, axis)]
    for value, mean in shared_means(settings, axis).items():
        x, y = area.x(scale.place(value)), area.y(mean)
        body.append(
            f'<path class="bar" d="M{x - BAR:.1f} {y:.1f}h{2 * BAR}" '
            f'stroke="{variable(1)}" stroke-width="3"/>'
        )
    # Backwards: the best ones lie on top of the others.
    for one in reversed(settings):
        x, y = area.x(scale.place(one.axes[axis])), area.y(mean_of(one))
        body.append(f'<g opacity=".6">{dot(x, y, DOT, Look(0).css)}</g>')
    best = settings[0]
    body.append(ring(area.x(scale.place(best.axes[axis])), area.y(mean_of(best))))
    return svg(WIDTH, PLOT_BOTTOM + KEY_TOP - KEY_GAP, body, name)


def shared_means(settings: Sequence[Setting], axis: str) -> dict[Scalar, float]:
    """The mean of each value of an axis over the other axes' settings that every value has; none
    where they share none, or there are many values."""
    by_value: dict[Scalar, dict[tuple[tuple[str, Scalar], ...], float]] = {}
    for one in settings:
        others = tuple(sorted((name, v) for name, v in one.axes.items() if name != axis))
        by_value.setdefault(one.axes[axis], {})[others] = mean_of(one)
    shared = set.intersection(*(set(found) for found in by_value.values()))
    if not shared or not 1 < len(by_value) <= MOST_BARS:
        return {}
    return {
        value: sum(found[others] for others in shared) / len(shared)
        for value, found in by_value.items()
    }
