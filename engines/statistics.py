"""Intervals and paired differences; the unit is always the problem, never the sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Z95 = 1.959963984540054
POWER = Z95 + 0.8416212335729143
"""Quantiles of a two-sided 5 % test with 80 % power."""
T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110,
       2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)
"""0.975 quantile of Student's t for 1 to 30 degrees of freedom."""


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(successes: float, n: int) -> Interval:
    """Wilson score interval of a share (Wilson 1927)."""
    if n < 1:
        raise ValueError(f"wilson: needs at least one trial, got n={n}")
    share, z2 = successes / n, Z95 * Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def standard_error(values: Sequence[float] | Array) -> float | None:
    """sd / sqrt(n) over problems; None for fewer than two."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None


def paired_bootstrap(differences: Sequence[Array], seed: int, draws: int = 10_000) -> Interval:
    """Macro mean over domains of the mean difference; problems are redrawn within each domain (percentile interval)."""
    total = np.zeros(draws)
    for index, group in enumerate(differences):
        random = np.random.default_rng([seed, index])
        block = max(1, 2_000_000 // len(group))  # at most 16 MB of indices at a time
        means = [group[random.integers(0, len(group), (min(block, draws - start), len(group)))].mean(axis=1)
                 for start in range(0, draws, block)]
        total += np.concatenate(means)
    low, high = np.quantile(total / len(differences), [0.025, 0.975])
    return Interval(float(np.mean([group.mean() for group in differences])), float(low), float(high))


def minimum_detectable(differences: Sequence[Array]) -> float | None:
    """The true macro difference found with 80 % power at 5 %.

    None if a domain has fewer than two problems, or if no two differences differ: a spread of zero would promise to find anything.
    """
    if any(len(group) < 2 for group in differences):
        return None
    variance = sum(float(np.var(group, ddof=1)) / len(group) for group in differences) / len(differences) ** 2
    return POWER * math.sqrt(variance) if variance > 0 else None


def t_interval(values: Sequence[float]) -> Interval:
    """Student's t interval of a mean over training seeds; ValueError for fewer than two."""
    if len(values) < 2:
        raise ValueError(f"t interval: needs at least two seeds, got {len(values)}")
    mean, error = float(np.mean(values)), standard_error(list(values)) or 0.0
    half = (T95[len(values) - 2] if len(values) <= len(T95) + 1 else Z95) * error
    return Interval(mean, mean - half, mean + half)
