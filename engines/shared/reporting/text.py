"""Numbers and paragraphs of reports, written the same way in every report.

In: shares, intervals, p-values, sentences. Out: text. Used by the tables and texts of every report
engine.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from engines.shared.reporting.statistics import Interval

WIDTH = 100
"""Columns of a plain text report."""


def percent(share: float) -> str:
    """A share in per cent, without the sign."""
    return f"{100 * share:.1f}"


def percent_with_interval(interval: Interval) -> str:
    """``61.0 [55.2, 66.8]``: a share in per cent with its 95 % interval."""
    low, high = percent(interval.low), percent(interval.high)
    return f"{percent(interval.value)} [{low}, {high}]"


def points(difference: Interval) -> str:
    """``+2.0 [-1.5, +5.5]``: a difference in percentage points with its 95 % interval."""
    low, high = 100 * difference.low, 100 * difference.high
    return f"{100 * difference.value:+.1f} [{low:+.1f}, {high:+.1f}]"


def probability(p_value: float | None) -> str:
    """A p-value, never rounded to zero; "" for None."""
    if p_value is None:
        return ""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def paragraph(text: str, indent: str = "") -> str:
    """A text broken into lines, all but the first set in by ``indent``."""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent)


def bullets(heading: str, items: Iterable[str]) -> str:
    """A list below its heading, as plain text."""
    return "\n".join([heading, *(paragraph(f"- {item}", "  ") for item in items)])


def markdown_bullets(heading: str, items: Iterable[str]) -> str:
    """A list below its heading, as Markdown."""
    return f"{heading}\n\n" + "\n".join(f"- {item}" for item in items)


def metric_words(metric: str) -> str:
    """``distinct_2_rarefied`` -> ``distinct 2 rarefied``."""
    return metric.replace("_", " ")
