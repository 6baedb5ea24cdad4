"""How different texts are by their embeddings, without any matrix of pairs.

In: unit vectors (n, d), one per text of a set. Out: one number each. Called by evaluations.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

UNIT = 1e-3
"""How far a squared norm may be from 1; float16 vectors are within it."""


def vendi_score(vectors: Array) -> float:
    """Effective number of different vectors, 1 (all equal) to n (orthogonal); d at most.

    exp of the entropy of the eigenvalues of K / n with K the cosines (Friedman and Dieng 2022,
    arXiv 2210.02410, definition 3.1). They are the squared singular values of the vectors over
    sqrt(n). It grows with n: compare at equal n, or divide by n. ValueError unless there is a row,
    and all are of length 1.
    """
    check(vectors, 1)
    singular = np.linalg.svd(vectors.astype(np.float64), compute_uv=False)
    # Sum to 1 by the trace of K / n; divided, so that rounding of the vectors is no entropy.
    return float(np.exp(entropy(singular**2)))


def entropy(weights: Array) -> float:
    """Shannon entropy in nats of non-negative weights, scaled to sum to 1."""
    shares = weights / weights.sum()
    # x log x tends to 0 with x.
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def mean_cosine_distance(vectors: Array) -> float:
    """Mean of 1 - cosine over all pairs, 0 (all equal) to n / (n - 1) (they sum to 0).

    The sum of all cosines is the squared length of the sum of the vectors: 1 - (|sum e|^2 - n) /
    (n (n - 1)). ValueError for fewer than two rows, or one that is not of length 1.
    """
    check(vectors, 2)
    exact = vectors.astype(np.float64)
    # The diagonal as it is, since float32 vectors are of length 1 to 1e-7 only.
    diagonal = float((exact**2).sum())
    together = float((exact.sum(axis=0) ** 2).sum())
    n = len(exact)
    return 1 - (together - diagonal) / (n * (n - 1))


def check(vectors: Array, fewest: int) -> None:
    """ValueError unless there are so many rows, and all are of length 1."""
    if vectors.ndim != 2 or len(vectors) < fewest:
        raise ValueError(f"needs {fewest} vectors or more as rows, got shape {vectors.shape}")
    squares = (vectors.astype(np.float64) ** 2).sum(axis=1)
    # Not "any is off", so that a vector that is not a number fails as well.
    if not np.all(np.abs(squares - 1) <= UNIT):
        raise ValueError(f"vectors of length 1 are needed, got squared lengths {squares.tolist()}")
