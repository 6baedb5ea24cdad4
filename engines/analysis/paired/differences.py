"""The difference of each line, with its interval and its verdict.

In: lines with pairs of values. Out: a ``Difference`` each. Called by ``__main__``.

The unit is the seed: Student's t over the differences of pairs, p-values adjusted over all lines by
Holm. One pair says nothing about another seed, so it has neither interval nor verdict; the same
holds where all pairs differ by exactly the same, as a spread of 0 would be taken for certainty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.analysis.paired.load import Line
from engines.shared.reporting.statistics import (
    DUST,
    Interval,
    holm,
    standard_error,
    t_interval,
)

LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One metric of one setting, treatment minus baseline."""

    line: Line
    baseline: float
    treatment: float
    difference: float
    interval: Interval | None
    """95 %, over seeds; None where there is none."""
    p: float | None
    adjusted: float | None
    """By Holm, over all lines that have a p-value."""
    verdict: str


def differences(lines: Sequence[Line]) -> list[Difference]:
    """One for each line."""
    intervals = [interval_of(line) for line in lines]
    p_values = [p_of(line, one) for line, one in zip(lines, intervals, strict=True)]
    adjusted = iter(holm([p for p in p_values if p is not None]))
    found = []
    for line, interval, p in zip(lines, intervals, p_values, strict=True):
        values = np.array(line.pairs)
        own = None if p is None else next(adjusted)
        found.append(
            Difference(
                line=line,
                baseline=float(values[:, 0].mean()),
                treatment=float(values[:, 1].mean()),
                difference=float((values[:, 1] - values[:, 0]).mean()),
                interval=interval,
                p=p,
                adjusted=own,
                verdict=verdict(line, own),
            )
        )
    return found


def interval_of(line: Line) -> Interval | None:
    """Student's t interval of the mean difference; None for one pair or for equal differences."""
    changes = changes_of(line)
    if len(changes) < 2 or spread_of(changes) == 0.0:
        return None
    return t_interval(changes)


def p_of(line: Line, interval: Interval | None) -> float | None:
    """Two-sided p-value of the paired t-test (Student 1908); None where there is no interval."""
    if interval is None:
        return None
    from scipy.stats import t

    changes = changes_of(line)
    return float(2 * t.sf(abs(interval.value) / (standard_error(changes) or 1.0), len(changes) - 1))


def changes_of(line: Line) -> list[float]:
    """Treatment minus baseline of each pair."""
    return [second - first for first, second in line.pairs]


def spread_of(changes: Sequence[float]) -> float:
    """How far the differences lie apart; 0 where rounding alone tells them apart."""
    apart = max(changes) - min(changes)
    return 0.0 if apart <= DUST * max(1.0, *map(abs, changes)) else apart


def verdict(line: Line, adjusted: float | None) -> str:
    """What the pairs show."""
    changes = changes_of(line)
    if len(changes) < 2:
        return "no verdict: one pair"
    if adjusted is None:
        if max(map(abs, changes)) <= DUST:
            return "equal in every pair"
        return "no verdict: the same difference in every pair"
    if adjusted >= LEVEL:
        return "no difference shown"
    up = sum(changes) > 0
    if line.higher is None:
        return "higher" if up else "lower"
    return "better" if up == line.higher else "worse"
