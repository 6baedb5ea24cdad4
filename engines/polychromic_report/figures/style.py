"""One colour and one marker per arm, the same in every figure.

In: the arms of a report. Out: a style each. Called by the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

from engines.polychromic_report.load import Setting
from engines.polychromic_report.report import Report
from engines.shared.reporting.figures import GREY, THIN
from engines.shared.reporting.look import LINES, SERIES

MARKERS = "osD^vP*X<"
BELOW = 3.2
"""Width of the line without the term: others that are equal to it lie on it, and both are seen."""


@dataclass(frozen=True)
class Style:
    """How an arm is drawn: its family gives the colour, its place there the marker, the kind
    of line and how strong the colour is."""

    colour: str
    marker: str
    strength: float
    line: str = "-"
    width: float = THIN


BASE = Style(GREY, "X", 1.0)
"""Of the model that all trainings began with."""


def styles(report: Report) -> dict[Setting, Style]:
    """A style for every arm."""
    found = {}
    families = list(dict.fromkeys(arm.family for arm in report.arms if arm.weight > 0))
    for arm in report.arms:
        if arm.weight == 0:
            found[arm] = Style(SERIES[0][0], "o", 0.7, width=BELOW)
            continue
        place = families.index(arm.family)
        own = [other for other in report.arms if other.family == arm.family and other.weight > 0]
        number = own.index(arm)
        # The weaker the weight, the fainter; never so faint that it is lost on a dark page.
        strength = 0.55 + 0.45 * (number + 1) / len(own)
        # The first colour is that of the arm without the term.
        colour = SERIES[1 + place % (len(SERIES) - 1)][0]
        # From the largest weight of a family down.
        line = LINES[(len(own) - 1 - number) % len(LINES)]
        found[arm] = Style(colour, MARKERS[(number + 1) % len(MARKERS)], strength, line)
    return found
