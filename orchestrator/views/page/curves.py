"""Curves of one metric of a run's jobs over their steps, with a key.

In: a ``Curve`` per job. Out: SVG as text, as wide as a phone. Pure. Called by page.py; sweep.py
draws with the same axes and key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from engines.shared.reporting.look import DASHES, NEUTRAL, Look, limits, tick_step, tick_text, ticks
from orchestrator.views.page.svg import Plot, svg, text

WIDTH = 380
LEFT_MARGIN, RIGHT_MARGIN, TOP_MARGIN = 48, 12, 12
PLOT_BOTTOM = 172
MOST_POINTS = 160
"""Of a curve: there is not room for more."""
NAMED = 12
"""Labels that are told apart; of more, what can be seen is what they do together."""
GREY = "var(--none)"
FOLLOWED = 2
"""Curves of one label that the eye can follow; more are a mean and a band."""
CROSS = 3
"""Half the width of what marks an early end."""
THICK, THIN, DOT = 2, 1.1, 5
"""Width of a mean and of a single line, and of a curve that is a single point."""
VALUE_GAP, VALUE_LINE = 6, 4
"""Of a value beside its grid line: to the left of the plot, and its base line below the grid
line."""
STEPS_LINE, NAME_LINE = 16, 31
"""Base lines of the values at the axis and of its name, below the plot."""
KEY_TOP, KEY_LINE = 52, 17
"""First line of the key below the plot, and from a line to the next."""
LETTER_WIDTH = 6.8
"""Of the font on average; the key breaks its lines by it."""
SAMPLE, SAMPLE_GAP = 22, 5
"""Of a sample of a line in the key, and from there to its words."""
KEY_GAP = 10
"""Between two entries of the key."""


FIRST = Look(0)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One metric of one job over its steps."""

    label: str
    """Its arm; curves of one label look alike."""
    points: Sequence[tuple[float, float]]
    look: Look = FIRST
    died: bool = False
    """Whether it ended early: then it is no part of a mean."""


Line = tuple[str, list[tuple[float, float]]]
"""A label and the points that are drawn."""


def plot(curves: Sequence[Curve], name: str) -> str:
    """Curves of one metric, a look for each label, with a key."""
    shown = [replace(curve, points=thinned(curve.points)) for curve in curves if curve.points]
    lines = [(curve.label, list(curve.points)) for curve in shown]
    area = area_of(lines)
    by_label: dict[str, list[Curve]] = {}
    for curve in shown:
        by_label.setdefault(curve.label, []).append(curve)
    body = [*grid(area), *steps_axis(area)]
    if len(by_label) > NAMED:
        body += [line(area, points, GREY, "", THIN) for _, points in lines]
        words = f"{len(lines)} jobs, each a line"
        return svg(WIDTH, area.bottom + KEY_TOP, [*body, key_words(words, area)], name)
    looks = {curve.label: curve.look for curve in curves}
    for label, members in by_label.items():
        body += together(area, members, looks[label])
    # One alone needs no name, as the caption says it, but for why it has none of the colours.
    if len(by_label) == 1 and shown[0].look.colour != NEUTRAL:
        return svg(WIDTH, area.bottom + NAME_LINE + KEY_GAP, body, name)
    entries, bottom = key({label: looks[label] for label in by_label})
    return svg(WIDTH, bottom + KEY_GAP, [*body, *entries], name)


def together(area: Plot, members: Sequence[Curve], look: Look) -> list[str]:
    """The curves of one label: each a line, or of many their mean and what they span. One that died
    is a line of its own with a cross at its end, and so is what goes on beyond the mean."""
    whole = [dict(one.points) for one in members if not one.died]
    steps = sorted(set.intersection(*(set(points) for points in whole))) if whole else []
    dash = DASHES[look.line]
    drawn = [end_of(area, one, look) for one in members if one.died]
    if len(whole) <= FOLLOWED or len(steps) < 2:
        width = THICK if len(members) == 1 else THIN
        return [line(area, one.points, look.css, dash, width) for one in members] + drawn
    values = [(step, [points[step] for points in whole]) for step in steps]
    upper = [(step, max(at_step)) for step, at_step in values]
    lower = [(step, min(at_step)) for step, at_step in values]
    corners = " ".join(f"{area.x(x):.1f} {area.y(y):.1f}" for x, y in [*upper, *reversed(lower)])
    means = [(step, sum(at_step) / len(at_step)) for step, at_step in values]
    beyond = [[point for point in points.items() if point[0] >= steps[-1]] for points in whole]
    alone = [points for points in beyond if len(points) > 1]
    alone += [list(one.points) for one in members if one.died]
    return [
        f'<polygon fill="{look.css}" opacity=".14" points="{corners}"/>',
        line(area, means, look.css, dash, THICK),
        *(line(area, points, look.css, dash, THIN) for points in alone),
        *drawn,
    ]


def end_of(area: Plot, one: Curve, look: Look) -> str:
    """A cross where a job ended early."""
    at, value = one.points[-1]
    x, y, wide = area.x(at), area.y(value), 2 * CROSS
    arms = f"M{x - CROSS:.1f} {y - CROSS:.1f}l{wide} {wide}m-{wide} 0l{wide} -{wide}"
    return f'<path class="cross" d="{arms}" fill="none" stroke="{look.css}" stroke-width="1.6"/>'


def area_of(lines: Sequence[Line]) -> Plot:
    """The plot area of these curves: x from 0, y by what is drawn."""
    last = max(x for _, points in lines for x, _ in points)
    return Plot(
        left=LEFT_MARGIN,
        right=WIDTH - RIGHT_MARGIN,
        top=TOP_MARGIN,
        bottom=PLOT_BOTTOM,
        x_range=(0.0, last or 1.0),
        y_range=limits(y for _, points in lines for _, y in points),
    )


def grid(area: Plot) -> list[str]:
    """Horizontal lines at round values."""
    drawn = []
    for value, words in ticks(*area.y_range):
        y = area.y(value)
        ends = f'x1="{area.left}" x2="{area.right}" y1="{y:.1f}" y2="{y:.1f}"'
        drawn.append(f'<line class="grid" {ends}/>')
        drawn.append(text(area.left - VALUE_GAP, y + VALUE_LINE, words, "small", "end"))
    return drawn


def steps_axis(area: Plot, name: str = "step") -> list[str]:
    """Round steps below the plot, and what they are."""
    low, high = area.x_range
    drawn = []
    # Steps are whole.
    step = max(1.0, tick_step(low, high))
    for number in range(int(high // step) + 1):
        words = tick_text(number * step, step)
        x = area.x(number * step)
        drawn.append(text(x, area.bottom + STEPS_LINE, words, "small", "middle"))
    middle = (area.left + area.right) / 2
    drawn.append(text(middle, area.bottom + NAME_LINE, name, "small", "middle"))
    return drawn


def line(
    area: Plot, points: Sequence[tuple[float, float]], colour: str, dash: str, width: float
) -> str:
    """One curve; a single point is a dot."""
    # A line from a point to itself, which its round cap makes a dot.
    if len(points) == 1:
        points, width, dash = [*points, *points], DOT, ""
    places = " ".join(f"{area.x(x):.1f} {area.y(y):.1f}" for x, y in points)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<polyline fill="none" stroke="{colour}" stroke-width="{width}"{dashes} '
        f'stroke-linecap="{"butt" if dash else "round"}" points="{places}"/>'
    )


def key(looks: Mapping[str, Look]) -> tuple[list[str], float]:
    """What each look stands for, in as many lines as it needs, and where the last line ends."""
    drawn = []
    x, y = 0.0, float(PLOT_BOTTOM + KEY_TOP)
    for label, look in looks.items():
        width = SAMPLE + SAMPLE_GAP + LETTER_WIDTH * len(label) + KEY_GAP
        if x and x + width > WIDTH:
            x = 0.0
            y += KEY_LINE
        dash = f' stroke-dasharray="{DASHES[look.line]}"' if look.line else ""
        drawn.append(
            f'<path d="M{x:.1f} {y - VALUE_LINE}h{SAMPLE}" fill="none" stroke="{look.css}" '
            f'stroke-width="{THICK}"{dash}/>'
        )
        drawn.append(text(x + SAMPLE + SAMPLE_GAP, y, label, "small"))
        x += width
    return drawn, y


def key_words(words: str, area: Plot) -> str:
    """A sentence in place of the key."""
    return text(0, area.bottom + KEY_TOP - KEY_GAP / 2, words, "small")


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
