"""The metrics of one job as lines of small bars: the newest value, its course, least and greatest.

In: lines of progress. Out: lines of text. Pure. Called by app.py for the chosen job.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from orchestrator.views.overview.metrics import heading
from orchestrator.views.pace import in_order
from orchestrator.views.tables.columns import numbers
from orchestrator.views.tables.folding import range_text

BARS = "▁▂▃▄▅▆▇█"
MOST = 3
"""Metrics that are shown."""
LONGEST = 60
"""Bars of a line; of more values each bar is a mean."""
ROOM = 45
"""Columns beside the bars: name, newest value, range."""
PROGRESS_ALONE = ("done", "scored", "tokens_per_second")
"""What progress counts, and is no metric."""


def spark_lines(
    lines: Sequence[Mapping[str, Any]], width: int, named: Sequence[str] = ()
) -> list[Text]:
    """A line for each of the metrics of progress that say most.

    Args:
        lines: Of progress.jsonl, the newest last.
        width: Of the terminal.
        named: Metrics that the stage names.
    """
    series: dict[str, list[float]] = {}
    for line in lines:
        for name, value in line["metrics"].items():
            if (
                name not in PROGRESS_ALONE
                and isinstance(value, int | float)
                and math.isfinite(value)
            ):
                series.setdefault(name, []).append(float(value))
    names = in_order(series, named)[:MOST]
    longest = max(map(len, map(heading, names)), default=0)
    shown = []
    for name in names:
        values = series[name]
        newest = numbers([values[-1]])[0]
        bars = spark(values, max(1, min(LONGEST, width - ROOM)))
        text = Text(f"{heading(name):{longest}}  {newest:>9}  ")
        text.append(bars, style="cyan")
        text.append(f"  {range_text(values)}", style="dim")
        text.truncate(width)
        shown.append(text)
    return shown


def spark(values: Sequence[float], most: int) -> str:
    """Values as bars of eight heights, at most so many: of more each bar is the mean of some."""
    each = math.ceil(len(values) / most)
    means = []
    # From the end, so that the newest bar is of as many values as the others.
    for end in range(len(values), 0, -each):
        part = values[max(0, end - each) : end]
        means.append(sum(part) / len(part))
    means.reverse()
    low, high = min(means), max(means)
    if low == high:
        return BARS[3] * len(means)
    top = len(BARS) - 1
    return "".join(BARS[round(top * (mean - low) / (high - low))] for mean in means)
