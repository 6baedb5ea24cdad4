"""Seeds and, inside them, questions: how far a mean may be off.

In: values by seed, and draws of the questions, or the variance that they have. Out: an interval
and a p-value. Called by the reports whose models of several seeds answer the same questions.

Models of one experiment answer the same questions, whatever their seed, so a draw with replacement
takes the same questions for all models, and what a question does to all seeds alike stays in. Seeds
need no draws: drawn anew, n - 1 of n at a time, which is the number that makes the variance of
their mean come out right (Rao and Wu 1988), they give s^2 / n, and that is computed. Percentiles of
drawn seeds would not do: those of three lie within the range of the three and cover far less than
95 %.

The half-width of the interval is the root of the squared half-widths of the two levels (Howe 1974):
Student's quantile for n - 1 degrees of freedom times the error over seeds, and the normal one times
the error over questions. What varies by seed and question together is in both; the interval errs on
the wide side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engines.shared.reporting.statistics import Array, Interval

AT_A_TIME = 4_000_000
"""Numbers that one block of draws holds: 32 MB."""
LEVEL = 0.05
"""Chance that an interval misses the truth."""
LEAST_P = 1e-100
"""Smaller ones are all called this: the square of such a quantile is still a number."""


def drawn_means(scores: Array, random: np.random.Generator, draws: int) -> Array:
    """Mean score of every model in every draw of the questions, which all models share.

    Args:
        scores: (models, questions).

    Returns:
        (draws, models).
    """
    count = scores.shape[1]
    at_a_time = max(1, AT_A_TIME // count)
    means = []
    for start in range(0, draws, at_a_time):
        block = min(at_a_time, draws - start)
        chosen = random.integers(0, count, (block, count))
        # How often each question was drawn: every draw counts in a range of its own.
        places = chosen + count * np.arange(block)[:, None]
        times = np.bincount(places.ravel(), minlength=block * count).reshape(block, count)
        means.append(times.astype(np.float64) @ scores.T / count)
    return np.concatenate(means)


def mean_of_known(values: Array, axis: int | tuple[int, ...]) -> Array:
    """Mean of the values that are not NaN; NaN where there is none."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=axis)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / known.sum(axis=axis))


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % interval and the chance of one as far from 0 where the truth
    is 0."""

    interval: Interval
    p_value: float
    seeds: int
    """Seeds that have a value; with one the interval is that of the questions alone."""


def estimate(by_seed: Array, drawn: Array, tied: float = 1.0) -> Estimate | None:
    """Mean over the seeds that have a value, with its interval; None where there is none, or in
    fewer than half of the draws.

    Args:
        by_seed: (seeds,), NaN for a seed without a value.
        drawn: (draws, seeds), the same with the questions drawn anew.
        tied: how much larger the variance of the mean over seeds is than that of independent seeds.
    """
    there = ~np.isnan(by_seed)
    means = mean_of_known(drawn[:, there], axis=1)
    known = means[~np.isnan(means)]
    if not there.any() or len(known) < max(2, len(drawn) / 2):
        return None
    return estimate_from(by_seed[there], float(known.var(ddof=1)), tied)


def estimate_from(values: Array, over_questions: float, tied: float = 1.0) -> Estimate:
    """The same from the values of at least one seed and the variance of their mean over
    questions."""
    value, seeds = float(values.mean()), len(values)
    over_seeds = tied * float(values.var(ddof=1)) / seeds if seeds > 1 else 0.0
    half = half_width(LEVEL, over_seeds, over_questions, seeds)
    p_value = two_sided(abs(value), over_seeds, over_questions, seeds)
    return Estimate(Interval(value, value - half, value + half), p_value, seeds)


def half_width(level: float, over_seeds: float, over_questions: float, seeds: int) -> float:
    """Half an interval of a mean, from its variances over seeds and over questions."""
    from scipy.special import ndtri, stdtrit

    # Lower quantiles, squared: as good as upper ones, and exact for small levels.
    of_seeds = stdtrit(seeds - 1, level / 2) ** 2 * over_seeds if seeds > 1 else 0.0
    return math.sqrt(of_seeds + ndtri(level / 2) ** 2 * over_questions)


def two_sided(far: float, over_seeds: float, over_questions: float, seeds: int) -> float:
    """The level at which the interval just reaches 0, which is the p-value of a mean ``far`` from
    it."""
    from scipy.optimize import brentq

    if far == 0:
        return 1.0
    if half_width(LEAST_P, over_seeds, over_questions, seeds) <= far:
        return LEAST_P

    def beyond(logarithm: float) -> float:
        return half_width(math.exp(logarithm), over_seeds, over_questions, seeds) - far

    # At level 1 an interval has no width.
    return math.exp(float(brentq(beyond, math.log(LEAST_P), 0.0)))
