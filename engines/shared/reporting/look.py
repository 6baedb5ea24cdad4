"""How pages and figures look: one colour and one kind of line for each arm or model, round ticks,
limits by what is drawn.

In: what tells trainings apart, in the plan's order; the values that a figure shows. Out: colours,
kinds of line, ticks, and the colours as CSS. Pure, of the standard library alone. Called by the
figures of every report and by the page of a run, so that an arm looks the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SERIES = (
    ("#0072b2", "#5cb3ec"),
    ("#d55e00", "#ff8f4d"),
    ("#2a9d7f", "#3fc79c"),
    ("#7a1f5c", "#b05a90"),
    ("#1a1a1a", "#f2f2f2"),
    ("#5c4000", "#f5e08a"),
)
"""Of arms, models or the values of any axis, on a light and on a dark page; the first one is the
baseline's. Chosen so that the colour-blind tell all of them apart (CIE76 above 19)."""
WORDS = (
    ("#0072b2", "#5cb3ec"),
    ("#b85000", "#ff8f4d"),
    ("#217f66", "#3fc79c"),
    ("#7a1f5c", "#c47aaa"),
    ("#1a1a1a", "#f2f2f2"),
    ("#5c4000", "#f5e08a"),
)
"""The same for words, which need more contrast than lines: 4.5 to 1, WCAG 2.1 AA."""
STATES = {
    "ok": ("#2f7f63", "#58a98c"),
    "bad": ("#c0350b", "#ff8a5c"),
    "run": ("#0b5cad", "#6cb2ff"),
    "wait": ("#8a6100", "#e2b340"),
    "odd": ("#7a1f9c", "#d08ae6"),
    "none": ("#6b727b", "#8e959e"),
}
"""Of jobs, by class of a page: done, failed, running, waiting, unknown, stopped or skipped."""
GREY = ("#8a8f96", "#8a8f96")
"""Of what is not to be told apart, on both."""
NEUTRAL = -1
"""In place of a place in ``SERIES``: of what has no value of the axis that has the colours."""
DASHES = ("", "6 4", "1.5 3", "7 3 1.5 3")
"""Kinds of line of SVG, the whole one first; LINES are the same for matplotlib."""
LINES = ("-", "--", ":", "-.")
FIRST_AXIS = "arm"
"""An axis of this name has the colours wherever it can."""
SEED = "seed"
STEPS = (1, 2, 5, 10)
MOST_TICKS = 5
MINUS = "\N{MINUS SIGN}"
DUST, LEAST = 1e-9, 1e-200
"""Parts of a span, and numbers, that are none."""
ENDS = (0.0, 1.0, 100.0)
HEADROOM = 0.05
"""Free beside what is drawn, as a part of its span."""
PLAIN = (1e-4, 1e6)
"""Ticks whose distance lies between these are written without powers of ten."""


@dataclass(frozen=True)
class Look:
    """How one arm is drawn."""

    colour: int
    """Place in ``SERIES``, or NEUTRAL."""
    line: int = 0
    """Place in ``DASHES`` and in ``LINES``."""

    @property
    def light(self) -> str:
        """The colour on white paper, which pages replace by ``css``."""
        return GREY[0] if self.colour == NEUTRAL else SERIES[self.colour][0]

    @property
    def css(self) -> str:
        """The colour on a page that follows the reader's scheme."""
        return variable(self.colour)


def variable(colour: int) -> str:
    """A colour of ``SERIES`` on a page, or the neutral one."""
    return "var(--none)" if colour == NEUTRAL else f"var(--c{colour + 1})"


def word_variable(colour: int) -> str:
    """The same colour for words."""
    return "var(--none)" if colour == NEUTRAL else f"var(--w{colour + 1})"


def looks_of(
    points: Sequence[Mapping[str, Any]], first: Sequence[Any] = (), prefer: str = FIRST_AXIS
) -> list[Look]:
    """One look for each point, alike where all but the seed is alike.

    The values of one axis have the colours and those of the others the kinds of line; where there
    are too many for that, each point has a look of its own, and beyond 24 looks come again.

    Args:
        points: Axes with their values, in the plan's order.
        first: Values whose colours come first, such as the baseline's.
        prefer: The axis that has the colours where all points have it, and differ in it.
    """
    settings = [{axis: v for axis, v in point.items() if axis != SEED} for point in points]
    axis = colour_axis(settings, prefer)
    there = dict.fromkeys(point.get(axis) for point in settings)
    ordered = dict.fromkeys([*(value for value in first if value in there), *there])
    values: dict[Any, int] = {value: place for place, value in enumerate(ordered)}
    # A setting without a further axis is drawn as the first value of that axis: a training and the
    # evaluation of it on a first data set look alike.
    firsts: dict[str, Any] = {}
    for point in settings:
        firsts = {**point, **firsts}
    firsts.pop(axis, None)
    others = [tuple(point.get(name, value) for name, value in firsts.items()) for point in settings]
    lines = {other: place for place, other in enumerate(dict.fromkeys(others))}
    cycles = -(-len(values) // len(SERIES))
    kinds = max(1, len(lines))
    if cycles * kinds > len(DASHES):
        return own_looks(settings)
    looks = []
    for point, other in zip(settings, others, strict=True):
        cycle, colour = divmod(values[point.get(axis)], len(SERIES))
        looks.append(Look(colour, cycle * kinds + lines[other]))
    return looks


def own_looks(settings: Sequence[Mapping[str, Any]]) -> list[Look]:
    """A look for each setting that differs from those before it."""
    keys = [tuple(sorted(point.items())) for point in settings]
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    looks = []
    for key in keys:
        cycle, colour = divmod(places[key], len(SERIES))
        looks.append(Look(colour, cycle % len(DASHES)))
    return looks


def colour_axis(settings: Sequence[Mapping[str, Any]], prefer: str = FIRST_AXIS) -> str:
    """The axis whose values have the colours: one that all settings have, and that differs."""
    names = dict.fromkeys(name for point in settings for name in point)
    differing = [name for name in names if len({point.get(name) for point in settings}) > 1]
    of_all = [name for name in differing if all(name in point for point in settings)]
    found = of_all or differing
    return prefer if prefer in found else next(iter(found), "")


def css() -> str:
    """All colours as variables of a page: ``--c1`` and on for series, ``--w1`` and on for words in
    them, and the states by name."""
    schemes = []
    for scheme in (0, 1):
        series = [f"--c{place + 1}:{pair[scheme]}" for place, pair in enumerate(SERIES)]
        words = [f"--w{place + 1}:{pair[scheme]}" for place, pair in enumerate(WORDS)]
        states = [f"--{name}:{pair[scheme]}" for name, pair in STATES.items()]
        schemes.append(";".join([*series, *words, *states]))
    light, dark = schemes
    # On paper everything is light.
    return (
        f":root{{color-scheme:light dark;--line:#8884;{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    )


def limits(values: Iterable[float]) -> tuple[float, float]:
    """The ends of an axis: the values with some room. None beyond 0, 1 or 100 unless a value is: a
    loss has nothing below 0, a share nothing above 1 or 100 %."""
    known = [value for value in values if math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    size = max(abs(low), abs(high))
    if size < LEAST:
        size = 1.0
    # Values that are equal but for rounding are drawn as one.
    span = high - low if high - low > DUST * size else size
    bottom, top = low - HEADROOM * span, high + HEADROOM * span
    for end in ENDS:
        bottom = max(bottom, end) if low >= end else bottom
        top = min(top, end) if high <= end else top
    # Values that are all 0, or all 1, need an axis too.
    if top <= bottom:
        return (bottom - HEADROOM, top) if low > 0 else (bottom, top + HEADROOM)
    return bottom, top


def tick_step(low: float, high: float, most: int = MOST_TICKS) -> float:
    """The distance of ticks: 1, 2 or 5 times a power of ten, as small as ``most`` of them allow."""
    rough = (high - low) / most
    power = math.floor(math.log10(rough))
    for times in STEPS:
        step = times * 10.0**power
        first, last = numbers_of(low, high, step)
        if last - first < most:
            return step
    return STEPS[1] * 10.0 ** (power + 1)


def numbers_of(low: float, high: float, step: float) -> tuple[int, int]:
    """The first and the last multiple of a step between the ends, which count too."""
    return math.ceil(low / step - DUST), math.floor(high / step + DUST)


def ticks(low: float, high: float, most: int = MOST_TICKS) -> list[tuple[float, str]]:
    """Round values between the ends, each with its text."""
    step = tick_step(low, high, most)
    first, last = numbers_of(low, high, step)
    return [(number * step, tick_text(number * step, step)) for number in range(first, last + 1)]


def tick_text(value: float, step: float) -> str:
    """A value with the decimals that its distance to the next one asks for."""
    if value and not PLAIN[0] <= step <= PLAIN[1]:
        return f"{value:.3g}"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:,.{decimals}f}".replace("-", MINUS)
