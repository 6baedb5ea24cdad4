"""One colour and one marker per arm, the same in every figure.

In: the arms of a report. Out: a style each. Called by the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

from engines.polychromic_report.load import Setting
from engines.polychromic_report.report import Report
from engines.shared.reporting.figures import BLUE, GREEN, GREY, ORANGE

FAMILY_COLOURS = (ORANGE, GREEN, "#cc79a7", "#8c564b")
MARKERS = "osD^vP*X<"
LINES = ("-", "--", "-.", ":")
"""From the largest weight of a family down."""


@dataclass(frozen=True)
class Style:
    """How an arm is drawn: its family gives the colour, its place there the marker, the kind
    of line and how strong the colour is."""

    colour: str
    marker: str
    strength: float
    line: str = "-"


BASE = Style(GREY, "X", 1.0)
"""Of the model that all trainings began with."""


def styles(report: Report) -> dict[Setting, Style]:
    """A style for every arm."""
    found = {}
    families = list(dict.fromkeys(arm.family for arm in report.arms if arm.weight > 0))
    for arm in report.arms:
        if arm.weight == 0:
            found[arm] = Style(BLUE, "o", 1.0)
            continue
        place = families.index(arm.family)
        own = [other for other in report.arms if other.family == arm.family and other.weight > 0]
        number = own.index(arm)
        # The weaker the weight, the fainter; never so faint that it is lost on a dark page.
        strength = 0.55 + 0.45 * (number + 1) / len(own)
        colour = FAMILY_COLOURS[place % len(FAMILY_COLOURS)]
        line = LINES[(len(own) - 1 - number) % len(LINES)]
        found[arm] = Style(colour, MARKERS[(number + 1) % len(MARKERS)], strength, line)
    return found
