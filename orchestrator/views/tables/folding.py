"""Like jobs on one line: how many there are of what, and their values as ranges.

In: axes and values of several jobs. Out: words. Pure. Called by plan.py and status/.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator.views.tables.columns import numbers, value_text

BAR = 8
"""Width of a bar, in columns of the terminal."""
SHOWN_VALUES = 3
"""Of an axis that are named; of more only how many."""

SYMBOL = 2
"""Letters of a name that is no word."""


def plural(word: str, count: int) -> str:
    """``seeds``, ``categories``; one of them as it is, and so a symbol such as ``lr``."""
    if count == 1 or word.endswith("s") or len(word) <= SYMBOL:
        return word
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}s"


def counted(count: int, word: str) -> str:
    """``1 job``, ``1,200 jobs``."""
    return f"{count:,} {plural(word, count)}"


def values_of(points: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The values of each axis, in the order in which they come."""
    found: dict[str, dict[str, None]] = {}
    for point in points:
        for axis, value in point.items():
            found.setdefault(axis, {})[value_text(value)] = None
    return {axis: list(values) for axis, values in found.items()}


def of_text(points: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """``4 models × 3 seeds``, and in fewer words ``4 × 3``: of what there are so many jobs; axes
    whose values are not combined, each with each, are listed instead."""
    counts = {axis: len(values) for axis, values in values_of(points).items() if len(values) > 1}
    words = [counted(count, axis) for axis, count in counts.items()]
    if math.prod(counts.values()) != len(points):
        text = ", ".join(words)
        return text, text
    text = " × ".join(words)
    return text, " × ".join(map(str, counts.values())) if len(counts) > 1 else text


def range_text(values: Iterable[float | None], decimals: int = 3) -> str:
    """``0.475 to 0.970``, or the one value that all have."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = numbers([min(known), max(known)], decimals)
    return low if low == high else f"{low} to {high}"


def bar(done: float, total: float) -> str:
    """How much of something is done: full only when all is, and begun as soon as anything is."""
    full = min(BAR, int(BAR * done / total))
    if done and not full:
        full = 1
    return "█" * full + "░" * (BAR - full)


def common_text(
    some: Sequence[Mapping[str, Any]],
    every: Sequence[Mapping[str, Any]],
    of_all: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """In which axes some jobs of a stage are fewer than all of it: ``lr 0.003, seed 1``.

    Args:
        of_all: ``values_of(every)``, where they are known.
    """
    of_all = values_of(every) if of_all is None else of_all
    words = []
    for axis, values in values_of(some).items():
        if len(values) == len(of_all[axis]):
            continue
        if len(values) > SHOWN_VALUES:
            words.append(f"{len(values)} of {len(of_all[axis])} {plural(axis, 2)}")
        else:
            words.append(f"{axis} {', '.join(values)}")
    return ", ".join(words)


def are_all(some: Sequence[Mapping[str, Any]], every: Sequence[Mapping[str, Any]]) -> bool:
    """Whether some jobs are all that have their values in the axes in which they are fewer."""
    chosen, of_all = values_of(some), values_of(every)
    fewer = {
        axis: set(values) for axis, values in chosen.items() if len(values) < len(of_all[axis])
    }
    fitting = 0
    for point in every:
        fitting += all(value_text(point.get(axis)) in values for axis, values in fewer.items())
    return fitting == len(some)
