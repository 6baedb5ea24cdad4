"""Intervals, paired differences and tests; the unit is always the problem, never the sample.

In: arrays of values, one value per problem, one array per group of problems (a task). Out:
    intervals and p-values. Called by the report engines, and for single standard errors by the
    engines that score.
"""

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
INDICES_AT_A_TIME = 2_000_000
"""Random numbers that one block of draws holds: 16 MB."""


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
    shrink = 1 + z2 / n
    centre = (share + z2 / (2 * n)) / shrink
    half = Z95 / shrink * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # Rounding errors may leave the range of a share.
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def standard_error(values: Sequence[float] | Array) -> float | None:
    """sd / sqrt(n) over problems; None for fewer than two."""
    if len(values) < 2:
        return None
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def ratio(part: Array, whole: Array) -> tuple[float, float | None]:
    """Sum of ``part`` over sum of ``whole`` and its standard error over the units, linearised
    (Cochran 1977, chapter 6).

    For shares whose units (sequences) hold different numbers of trials. The error is None for fewer
    than two units.
    """
    share = float(part.sum() / whole.sum())
    # What a unit has more or less than its trials times the share.
    error = standard_error(part - share * whole)
    if error is None:
        return share, None
    return share, error / float(whole.mean())


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
    value = 0.0
    resampled = np.zeros(draws)
    for index, (group, share) in enumerate(zip(differences, shares, strict=True)):
        value += share * float(group.mean())
        # A generator per group: one group more or less changes no other group's draws.
        resampled += share * resampled_means(group, np.random.default_rng([seed, index]), draws)
    below, above = np.quantile(resampled, [0.025, 0.975])
    return Interval(value, float(below), float(above))


def resampled_means(group: Array, random: np.random.Generator, draws: int) -> Array:
    """The means of ``draws`` samples, each as large as the group, drawn from it with
    replacement."""
    at_a_time = max(1, INDICES_AT_A_TIME // len(group))
    means = []
    for start in range(0, draws, at_a_time):
        count = min(at_a_time, draws - start)
        # [count, n]: each row is one sample, as places in the group.
        chosen = random.integers(0, len(group), (count, len(group)))
        means.append(group[chosen].mean(axis=1))
    return np.concatenate(means)


def unvaried(
    groups: Sequence[Array], weights: Sequence[float], low: float, high: float
) -> Interval:
    """Interval of a weighted mean of groups in each of which all values are equal.

    A value that n problems never showed may still have the share 1 - 0.025^(1/n) among all problems
    (Clopper and Pearson 1934 at 0 of n); the interval reaches as far as such problems could move
    the mean, all of them at ``low`` or all at ``high``.
    """
    mean = mean_low = mean_high = 0.0
    for group, weight in zip(groups, weights, strict=True):
        value = float(group[0])
        # The largest share p that n problems all miss with a chance of 2.5 %: (1 - p)^n = 0.025.
        unseen = 1 - 0.025 ** (1 / len(group))
        mean += weight * value
        mean_low += weight * (value - unseen * (value - low))
        mean_high += weight * (value + unseen * (high - value))
    return Interval(mean, mean_low, mean_high)


def weighted_error(
    differences: Sequence[Array], weights: Sequence[float] | None = None
) -> float | None:
    """Standard error of the weighted mean over groups; None if a group has fewer than two
    problems."""
    if any(len(group) < 2 for group in differences):
        return None
    shares = equal_weights(differences) if weights is None else weights
    variance = 0.0
    for group, share in zip(differences, shares, strict=True):
        # Var(sum of w_i m_i) = sum of w_i^2 s_i^2 / n_i, as the groups are independent.
        variance += share**2 * float(np.var(group, ddof=1)) / len(group)
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
        hashes = {item: _hash(f"{seed} {task[1]} {item}") for item in items}
        order = sorted(hashes, key=lambda item: hashes[item])
        # Every second problem in the order of their hashes, which is as good as drawn by lot.
        choosing[task], reporting[task] = set(order[::2]), set(order[1::2])
    return choosing, reporting


def _hash(text: str) -> bytes:
    """Bytes that are the same on every machine, and as good as random."""
    return hashlib.sha256(text.encode()).digest()


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
    up = int((differences > 0).sum())
    down = int((differences < 0).sum())
    # Ways in which a coin thrown once per discordant pair lands so far to one side, or further.
    tail = sum(math.comb(up + down, k) for k in range(min(up, down) + 1))
    # Both sides count; where up equals down they overlap, hence at most 1.
    return min(1.0, float(2 * tail / 2 ** (up + down)))


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
    observed = 0.0
    flipped = np.zeros(draws)
    for index, (group, share) in enumerate(zip(differences, shares, strict=True)):
        observed += share * float(group.sum()) / len(group)
        # Another stream than that of the bootstrap.
        random = np.random.default_rng([seed, 1, index])
        # A problem without a difference adds 0 whatever its sign, and needs no coin.
        flipped += share * flipped_sums(group[group != 0], random, draws) / len(group)
    # Sums of the same numbers in another order may differ by a rounding error.
    as_far = np.abs(flipped) >= abs(observed) - 1e-12
    return (1 + int(as_far.sum())) / (1 + draws)


def flipped_sums(values: Array, random: np.random.Generator, draws: int) -> Array:
    """``draws`` sums of the values, each value with a sign of its own from a coin."""
    at_a_time = max(1, INDICES_AT_A_TIME // max(1, len(values)))
    sums = []
    for start in range(0, draws, at_a_time):
        count = min(at_a_time, draws - start)
        # [count, n] of -1 and 1.
        signs = random.integers(0, 2, (count, len(values))) * 2 - 1
        sums.append(signs @ values)
    return np.concatenate(sums)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the chance of any false finding at the level (Holm 1979), in the
    order given."""
    # From the smallest to the largest, each times how many are not smaller; none may be below the
    # one before.
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the expected share of false findings at the level (Benjamini and
    Hochberg 1995)."""
    # From the largest to the smallest, each times n over its rank; none may be above the one
    # before.
    order = sorted(range(len(p_values)), key=lambda i: p_values[i], reverse=True)
    adjusted, smallest = [0.0] * len(p_values), 1.0
    for place, i in enumerate(order):
        rank = len(p_values) - place
        smallest = min(smallest, p_values[i] * len(p_values) / rank)
        adjusted[i] = smallest
    return adjusted


def t_interval(values: Sequence[float]) -> Interval:
    """Student's t interval of a mean over training seeds; ValueError for fewer than two."""
    if len(values) < 2:
        raise ValueError(f"t interval: needs at least two seeds, got {len(values)}")
    mean = float(np.mean(values))
    error = standard_error(list(values)) or 0.0
    freedom = len(values) - 1
    # Above 30 degrees of freedom the normal quantile is close: 1.96 in the place of 2.04.
    quantile = T95[freedom - 1] if freedom <= len(T95) else Z95
    return Interval(mean, mean - quantile * error, mean + quantile * error)
