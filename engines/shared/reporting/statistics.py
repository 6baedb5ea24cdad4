"""Intervals and paired differences; the unit is always the problem, never the sample."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Z95 = 1.959963984540054
POWER = Z95 + 0.8416212335729143
"""Quantiles of a two-sided 5 % test with 80 % power."""
T95 = (
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
    2.228,
    2.201,
    2.179,
    2.160,
    2.145,
    2.131,
    2.120,
    2.110,
    2.101,
    2.093,
    2.086,
    2.080,
    2.074,
    2.069,
    2.064,
    2.060,
    2.056,
    2.052,
    2.048,
    2.045,
    2.042,
)
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


def ratio(part: Array, whole: Array) -> tuple[float, float | None]:
    """Sum of ``part`` over sum of ``whole`` and its standard error over the units, linearised
    (Cochran 1977, chapter 6).

    For shares whose units (sequences) hold different numbers of trials. The error is None for fewer
    than two units.
    """
    share = float(part.sum() / whole.sum())
    error = standard_error(part - share * whole)
    return share, None if error is None else error / float(whole.mean())


def equal_weights(groups: Sequence[Array]) -> list[float]:
    """Every group counts the same, however many problems it has."""
    return [1 / len(groups)] * len(groups)


def paired_bootstrap(
    differences: Sequence[Array],
    seed: int,
    draws: int = 10_000,
    weights: Sequence[float] | None = None,
    low: float = -1.0,
    high: float = 1.0,
) -> Interval:
    """Weighted mean over groups (equal weights: macro mean) of the mean difference; problems are
    redrawn within each group.

    Percentile interval. ``differences`` holds one array per group, each value between ``low`` and
    ``high``; ``weights`` sum to one. Where no group has two values that differ, redrawing shows no
    spread, and the interval is ``unvaried``'s.
    """
    shares = equal_weights(differences) if weights is None else weights
    if all(bool((group == group[0]).all()) for group in differences):
        return unvaried(differences, shares, low, high)
    total = np.zeros(draws)
    for index, (group, share) in enumerate(zip(differences, shares, strict=True)):
        random = np.random.default_rng([seed, index])
        block = max(1, 2_000_000 // len(group))  # at most 16 MB of indices at a time
        means = [
            group[random.integers(0, len(group), (min(block, draws - start), len(group)))].mean(
                axis=1
            )
            for start in range(0, draws, block)
        ]
        total += share * np.concatenate(means)
    below, above = np.quantile(total, [0.025, 0.975])
    value = sum(
        share * float(group.mean()) for group, share in zip(differences, shares, strict=True)
    )
    return Interval(value, float(below), float(above))


def unvaried(
    groups: Sequence[Array], weights: Sequence[float], low: float, high: float
) -> Interval:
    """Interval of a weighted mean of groups in each of which all values are equal.

    A value that n problems never showed may still have the share 1 - 0.025^(1/n) among all problems
    (Clopper and Pearson 1934 at 0 of n); the interval reaches as far as such problems could move
    the mean, all of them at ``low`` or all at ``high``.
    """
    unseen = [1 - 0.025 ** (1 / len(group)) for group in groups]
    parts = list(zip([float(group[0]) for group in groups], weights, unseen, strict=True))
    return Interval(
        sum(w * v for v, w, _ in parts),
        sum(w * (v - u * (v - low)) for v, w, u in parts),
        sum(w * (v + u * (high - v)) for v, w, u in parts),
    )


def weighted_error(
    differences: Sequence[Array], weights: Sequence[float] | None = None
) -> float | None:
    """Standard error of the weighted mean over groups; None if a group has fewer than two
    problems."""
    if any(len(group) < 2 for group in differences):
        return None
    shares = equal_weights(differences) if weights is None else weights
    variance = sum(
        share**2 * float(np.var(group, ddof=1)) / len(group)
        for group, share in zip(differences, shares, strict=True)
    )
    return math.sqrt(variance)


def halves(
    problems: Mapping[tuple[str, str], Iterable[str]], seed: int
) -> tuple[dict[tuple[str, str], set[str]], dict[tuple[str, str], set[str]]]:
    """Each task's problems cut in two by the hash of seed and problem, whatever their order: one
    half to choose by, one to report.

    Keys are (domain, task). The first half has as many problems as the second, or one more.
    """
    choosing, reporting = {}, {}
    for task, items in problems.items():
        order = sorted(
            items, key=lambda item: hashlib.sha256(f"{seed} {task[1]} {item}".encode()).digest()
        )
        choosing[task], reporting[task] = set(order[::2]), set(order[1::2])
    return choosing, reporting


def minimum_detectable(
    differences: Sequence[Array], weights: Sequence[float] | None = None
) -> float | None:
    """The true weighted mean difference found with 80 % power at 5 %.

    None if a group has fewer than two problems, or if no two differences differ: a spread of zero
    would promise to find anything.
    """
    error = weighted_error(differences, weights)
    return POWER * error if error else None


def mcnemar(differences: Array) -> float:
    """Exact two-sided p-value of McNemar's test (1947) for paired 0/1 outcomes: differences are -1,
    0 or 1.

    Of the discordant pairs, as many go one way as a fair coin would give; no discordant pair: 1.
    """
    up, down = int((differences > 0).sum()), int((differences < 0).sum())
    n = up + down
    tail = sum(math.comb(n, k) for k in range(min(up, down) + 1))
    return min(1.0, float(2 * tail / 2**n))


def sign_flip(
    differences: Sequence[Array],
    seed: int,
    draws: int = 10_000,
    weights: Sequence[float] | None = None,
) -> float:
    """Two-sided p-value of a paired randomisation test (Fisher 1935): if the arms do not differ,
    every sign is a coin's.

    (1 + flips at least as far from 0 as the data) / (1 + draws), which is never 0.
    """
    shares = equal_weights(differences) if weights is None else weights
    total, observed = np.zeros(draws), 0.0
    for index, (group, share) in enumerate(zip(differences, shares, strict=True)):
        random = np.random.default_rng([seed, 1, index])
        moved = group[group != 0]
        observed += share * float(group.sum()) / len(group)
        block = max(1, 2_000_000 // max(1, len(moved)))  # at most 16 MB of signs at a time
        sums = [
            (random.integers(0, 2, (min(block, draws - start), len(moved))) * 2 - 1) @ moved
            for start in range(0, draws, block)
        ]
        total += share * np.concatenate(sums) / len(group)
    return (1 + int((np.abs(total) >= abs(observed) - 1e-12).sum())) / (1 + draws)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the chance of any false finding at the level (Holm 1979), in the
    order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the expected share of false findings at the level (Benjamini and
    Hochberg 1995)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i], reverse=True)
    adjusted, running = [0.0] * len(p_values), 1.0
    for place, i in enumerate(order):
        running = min(running, p_values[i] * len(p_values) / (len(p_values) - place))
        adjusted[i] = running
    return adjusted


def t_interval(values: Sequence[float]) -> Interval:
    """Student's t interval of a mean over training seeds; ValueError for fewer than two."""
    if len(values) < 2:
        raise ValueError(f"t interval: needs at least two seeds, got {len(values)}")
    mean, error = float(np.mean(values)), standard_error(list(values)) or 0.0
    half = (T95[len(values) - 2] if len(values) <= len(T95) + 1 else Z95) * error
    return Interval(mean, mean - half, mean + half)
