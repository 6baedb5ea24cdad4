"""How alike two models represent the same cities: linear CKA, debiased or not, and Procrustes.

In: the states of two models, one row per city in the same order, each with any number of features.
Out: one number per pair, or the table of all pairs, of which each is computed once. Called by the
report on models of cities.

CKA does not change under rotations and one scale for all features (Kornblith et al. 2019); it does
change under other invertible linear maps, so two maps of which one is stretched are less than
alike. Procrustes answers the same question about shapes, on the first principal components alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Measure = Literal["cka", "biased_cka", "procrustes"]

FEWEST_CITIES = 4
"""The debiased estimator divides by n - 3."""
COMPONENTS = 3
"""Principal components that Procrustes compares."""


@dataclass(frozen=True, eq=False)
class States:
    """One model's states (n cities, d features), centred, float64. What belongs to one model alone
    is computed once, however many others it is compared with."""

    centred: Array

    @cached_property
    def squares(self) -> Array:
        """Squared length of each row, (n,): the diagonal of the kernel."""
        squares: Array = np.einsum("ij,ij->i", self.centred, self.centred)
        return squares

    @cached_property
    def debiased(self) -> float:
        """HSIC of the model with itself, debiased."""
        return debiased_hsic(self, self)

    @cached_property
    def biased(self) -> float:
        """The same, biased."""
        return kernel_product(self, self)

    @cached_property
    def shape(self) -> Array:
        """Scores on the first components, of norm 1, (n, at most 3)."""
        scores = components(self.centred, COMPONENTS)
        shape: Array = scores / np.linalg.norm(scores)
        return shape


def prepare(states: Array) -> States:
    """States (n, d) made ready for comparisons.

    ValueError for fewer than four cities, a value that is not finite, or a model that has the same
    state for every city: such a model is like nothing, and like itself neither.
    """
    if states.ndim != 2 or len(states) < FEWEST_CITIES:
        raise ValueError(
            f"states: need (n, d) with at least {FEWEST_CITIES} cities, got {states.shape}"
        )
    whole = states.astype(np.float64)
    if not np.isfinite(whole).all():
        raise ValueError("states: hold a value that is not finite")
    centred = whole - whole.mean(axis=0)
    # Against the size of the values: what rounding leaves of equal rows is no variation.
    if np.abs(centred).max() <= 1e-12 * np.abs(whole).max():
        raise ValueError("states: are the same for every city")
    return States(centred)


def kernel_product(first: States, second: States) -> float:
    """tr(K L) of the linear kernels K = X X' and L = Y Y' of centred states: the biased HSIC times
    (n - 1)^2 (Gretton et al. 2005, equation 9)."""
    x, y = first.centred, second.centred
    # tr(X X' Y Y') = |X' Y|^2: d x d instead of n x n where there are more cities than features.
    if x.shape[1] * y.shape[1] <= len(x) ** 2:
        return float(np.square(x.T @ y).sum())
    return float(((x @ x.T) * (y @ y.T)).sum())


def debiased_hsic(first: States, second: States) -> float:
    """HSIC without bias: HSIC_1 of Song et al. 2012, "Feature Selection via Dependence
    Maximization", for linear kernels.

    There, with K and L without their diagonals,
    HSIC = (tr(K L) + 1'K1 1'L1 / ((n - 1)(n - 2)) - 2 1'K L1 / (n - 2)) / (n (n - 3)).
    A linear kernel of centred states has rows that sum to 0. Without its diagonal k = (|x_i|^2),
    K1 = -k, 1'K1 = -sum k, 1'K L1 = k'l and tr(K L) is that of the whole kernels less k'l, so that
    nothing of size n x n is needed. Centring changes nothing: the estimator ignores what is added
    to all states.
    """
    n = len(first.centred)
    diagonal = float(first.squares @ second.squares)
    sums = float(first.squares.sum() * second.squares.sum())
    inner = kernel_product(first, second) - diagonal
    return (inner + sums / ((n - 1) * (n - 2)) - 2 * diagonal / (n - 2)) / (n * (n - 3))


def cka(first: States, second: States) -> float:
    """Debiased linear CKA, at most 1, about 0 for independent states, and a little below it as
    often as above. ValueError where a model's own HSIC is 0, as with four cities at the corners of
    a regular tetrahedron."""
    own = first.debiased * second.debiased
    if own <= 0:
        raise ValueError("cka: a model whose debiased HSIC with itself is 0 is like nothing")
    return debiased_hsic(first, second) / math.sqrt(own)


def biased_cka(first: States, second: States) -> float:
    """Linear CKA with its bias, 0 to 1: |X'Y|^2 / (|X'X| |Y'Y|) (Kornblith et al. 2019, section
    3). Of independent Gaussian states with d features each it is d / (n + d), not 0."""
    return kernel_product(first, second) / math.sqrt(first.biased * second.biased)


def procrustes(first: States, second: States) -> float:
    """What is left between two shapes after the best rotation, reflection and scale, 0 to 1 (0: the
    same): 1 - (sum of singular values)^2 on the first three principal components, each set centred
    and of norm 1 (Gower 1975). A model of fewer features has fewer components, the rest 0."""
    singular = np.linalg.svd(first.shape.T @ second.shape, compute_uv=False)
    # Rounding may bring the sum of two equal shapes above 1.
    return max(0.0, 1.0 - float(singular.sum()) ** 2)


def components(centred: Array, count: int) -> Array:
    """Scores of centred states (n, d) on their first principal components, (n, min(count, d))."""
    values, vectors = np.linalg.eigh(centred.T @ centred)
    # Ascending: the last ones explain most.
    chosen = vectors[:, np.argsort(values)[::-1][:count]]
    scores: Array = centred @ chosen
    return scores


MEASURES = {"cka": cka, "biased_cka": biased_cka, "procrustes": procrustes}


def all_pairs(models: Sequence[States], measure: Measure) -> Array:
    """The table (m, m) of a measure over all pairs: symmetric, each pair computed once, a model
    with itself by definition 1 (Procrustes: 0)."""
    compare = MEASURES[measure]
    table = np.full((len(models), len(models)), 0.0 if measure == "procrustes" else 1.0)
    for row, first in enumerate(models):
        for column in range(row + 1, len(models)):
            table[row, column] = table[column, row] = compare(first, models[column])
    return table
