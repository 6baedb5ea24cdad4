"""How far fine-tuning brought a model on questions about new cities: 0 is where the base began, 1
what the base reaches on the cities it knows.

In: mean scores of a model, and of its base on new and on known cities. Out: the normalised
improvement, and whether it means anything. Called by improvement.py.

Source: the analysis of Park 2025 (arXiv 2602.00533). We depart in one point: where the base is not
better on known cities than on new ones the original returns 0; here there is no value.
"""

from __future__ import annotations

import numpy as np

from engines.shared.reporting.statistics import Array

HIGHEST = 1.5
"""Larger improvements are cut here, as published: the logarithm knows no upper end."""


def span(before: Array, goal: Array, higher_is_better: bool) -> Array:
    """What the improvement is divided by: how much better the base is on known cities (``goal``)
    than on new ones (``before``). Accuracies: B - A; errors: ln(A / B), or A - B where one is 0."""
    if higher_is_better:
        return np.asarray(goal - before)
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = np.log(before / goal)
    positive = (before > 0) & (goal > 0)
    return np.where(positive, logarithm, before - goal)


def improvement(value: Array, before: Array, goal: Array, higher_is_better: bool) -> Array:
    """Normalised improvement, cut to [0, 1.5]; NaN where the base is not better on known cities.

    Accuracies: (v - A) / (B - A). Errors: ln(A / v) / ln(A / B), or (A - v) / (A - B) where one of
    the three is 0. Arguments are broadcast against each other.
    """
    value, before, goal = np.broadcast_arrays(value, before, goal)
    below = span(before, goal, higher_is_better)
    if higher_is_better:
        above = value - before
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            above = np.log(before / value)
        # Linear in both parts of the fraction, or in none.
        linear = (value <= 0) | (before <= 0) | (goal <= 0)
        above = np.where(linear, before - value, above)
        below = np.where(linear, before - goal, below)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(above / below, 0, HIGHEST)
    return np.where(below > 0, share, np.nan)
