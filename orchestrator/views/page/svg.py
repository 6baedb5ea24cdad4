"""What the drawings of a run's page are made of: inline SVG, words in it, a plot area.

In: coordinates and words. Out: SVG as text; colours are classes of the page's own style
(``var(--ok)``). Pure. Called by graph.py, timeline.py and curves.py, one drawing each. A drawing's
size depends on the number of stages and lines, never on the number of jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from orchestrator.runs.record import FAILED, JobState

STATE_CLASSES = {
    JobState.COMPLETED: "ok",
    JobState.RUNNING: "run",
    JobState.COMPLETING: "run",
    JobState.PENDING: "wait",
    JobState.SUSPENDED: "wait",
    JobState.UNKNOWN: "odd",
}


STOPPED = frozenset({JobState.CANCELLED, JobState.PREEMPTED})
"""Ended by a person or by the cluster, and not by a fault of its own."""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """The area of a drawing that shows values, and where a value lies in it.

    Coordinates are those of SVG: y grows downwards. Values of y grow upwards.
    """

    left: float
    right: float
    top: float
    bottom: float
    x_range: tuple[float, float]
    y_range: tuple[float, float] = (0.0, 1.0)

    def x(self, value: float) -> float:
        """Where a value lies from left to right."""
        low, high = self.x_range
        return self.left + (self.right - self.left) * (value - low) / (high - low)

    def y(self, value: float) -> float:
        """Where a value lies from the bottom up."""
        low, high = self.y_range
        return self.bottom - (self.bottom - self.top) * (value - low) / (high - low)

    def width(self, span: float) -> float:
        """How wide a distance between two values of x is."""
        low, high = self.x_range
        return (self.right - self.left) * span / (high - low)


def state_class(state: JobState) -> str:
    """The class that gives a state its colour."""
    if state in FAILED - STOPPED:
        return "bad"
    return STATE_CLASSES.get(state, "none")


def svg(width: float, height: float, body: Sequence[str], label: str) -> str:
    """A drawing that a page scales down, and a screen reader names."""
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return f'<svg {size} role="img" aria-label="{escape(label)}">{"".join(body)}</svg>'


def text(x: float, y: float, words: str, kind: str = "plain", anchor: str = "start") -> str:
    """A line of words; ``y`` is that of its base line."""
    place = f'x="{x:.1f}" y="{y:.1f}"'
    return f'<text class="{kind}" {place} text-anchor="{anchor}">{escape(words)}</text>'


def shortened(name: str, letters: int) -> str:
    """A name that fits. Its end is kept: what varies stands there."""
    return name if len(name) <= letters else f"…{name[-letters + 1 :]}"
