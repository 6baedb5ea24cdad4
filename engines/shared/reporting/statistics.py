"""Intervals, paired differences and tests; the unit is always the problem, never the sample.

In: arrays of values, one value per problem, one array per group of problems (a task). Out:
    intervals and p-values. Called by the report engines, and for single standard errors by the
    engines that score.

What scipy or statsmodels has comes from there, imported where it is used: both take seconds to
load, and an engine that wants no more than a standard error need not wait for them. Our own are the
paired bootstrap and the test over signs, because groups of unequal size with weights of their own
are redrawn within each group, and the ratio's error. The tests hold each against a library where
the two must agree.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
POWER = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)
"""Quantiles of a two-sided 5 % test with 80 % power."""
DUST = 1e-12
"""What scores between 0 and 1 that are equal may differ by after they were averaged: 0.1 + 0.2 and
0.3 show no spread."""
INDICES_AT_A_TIME = 2_000_000
"""Random numbers that one block of draws holds: 16 MB."""


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(successes: float, n: int) -> Interval:
    """Wilson score interval of a share (Wilson 1927); ValueError unless 0 <= ``successes`` <= ``n``
    and there is a trial.

    ``successes`` may be a fraction, a sum of scores between 0 and 1: such scores vary less than 0/1
    outcomes of the same mean, so the interval is wider than need be.
    """
    if n < 1:
        raise ValueError(f"wilson: needs at least one trial, got n={n}")
    if not 0 <= successes <= n:
        raise ValueError(f"wilson: {successes} successes of {n} trials")
    # Not scipy's, which takes whole successes only.
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(successes, n, method="wilson")
    return Interval(successes / n, float(low), float(high))


def standard_error(values: Sequence[float] | Array) -> float | None:
    """sd / sqrt(n) over problems; None for fewer than two."""
    if len(values) < 2:
        return None
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """1 - C(n - c, k) / C(n, k): the chance that k of n samples, c of them correct, hold a correct
    one. Chen et al. 2021, equation 1. ValueError unless 1 <= k <= n and 0 <= c <= n."""
    if not 1 <= k <= samples or not 0 <= correct <= samples:
        raise ValueError(f"pass@{k} of {correct} correct among {samples} samples is not defined")
    return 1.0 - math.comb(samples - correct, k) / math.comb(samples, k)


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
    if all(float(np.ptp(group)) <= DUST for group in differences):
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
    return POWER * error if error is not None and error > DUST else None


def mcnemar(differences: Array) -> float:
    """Exact two-sided p-value of McNemar's test (1947) for paired 0/1 outcomes: differences are -1,
    0 or 1.

    Of the discordant pairs, as many go one way as a fair coin would give; no discordant pair: 1.
    ValueError for other differences, whose size the test would not see.
    """
    from scipy.stats import binomtest

    if not bool(np.isin(differences, (-1.0, 0.0, 1.0)).all()):
        raise ValueError("mcnemar: outcomes are 0 or 1, so differences are -1, 0 or 1")
    up = int((differences > 0).sum())
    down = int((differences < 0).sum())
    # The test refuses to throw no coin at all.
    if up + down == 0:
        return 1.0
    return float(binomtest(up, up + down, 0.5).pvalue)


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


def checked(p_values: Sequence[float]) -> list[float]:
    """p-values of which none is above 1 by a rounding error. ValueError if one is NaN or none."""
    wrong = [value for value in p_values if not 0 <= value <= 1 + DUST]
    if wrong:
        raise ValueError(f"{wrong[0]} is no p-value: they lie between 0 and 1")
    return [min(float(value), 1.0) for value in p_values]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the chance of any false finding at the level (Holm 1979), in the
    order given. ValueError if one is no p-value.

    The k-th smallest of n is multiplied by n + 1 - k; none is below a smaller one's. Not
    statsmodels', which collects the garbage of the whole process at every call.
    """
    values = np.array(checked(p_values))
    order = np.argsort(values)
    raised = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return [float(value) for value in adjusted]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the expected share of false findings at the level (Benjamini and
    Hochberg 1995)."""
    from scipy.stats import false_discovery_control

    return [float(value) for value in false_discovery_control(checked(p_values), method="bh")]


def t_quantile(freedom: int) -> float:
    """0.975 quantile of Student's t with so many degrees of freedom, 1 or more."""
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))


def t_interval(values: Sequence[float]) -> Interval:
    """Student's t interval of a mean over training seeds; ValueError for fewer than two."""
    if len(values) < 2:
        raise ValueError(f"t interval: needs at least two seeds, got {len(values)}")
    mean = float(np.mean(values))
    error = standard_error(list(values)) or 0.0
    half = t_quantile(len(values) - 1) * error
    return Interval(mean, mean - half, mean + half)
