"""How far the texts of one set are from one another, pair by pair.

In: the texts of a set as tokens, or as unit vectors. Out: a symmetric matrix with zeros on its
diagonal. Trainings measure their samples with it, evaluations those of the finished models.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def bigram_distance(texts: Sequence[Sequence[Hashable]]) -> Array:
    """1 - Jaccard index of the sets of bigrams of each pair: n texts, each its tokens -> (n, n), in
    [0, 1].

    |A and B| / |A or B| (Jaccard 1912) says nothing about two texts that have no bigram (fewer than
    two tokens): 0 if their tokens are equal, else 1.
    """
    bigrams = [frozenset(itertools.pairwise(text)) for text in texts]
    found = np.zeros((len(texts), len(texts)))
    for i, first in enumerate(bigrams):
        for j in range(i):
            second = bigrams[j]
            shared = len(first & second)
            either = len(first) + len(second) - shared
            if not either:
                found[i, j] = found[j, i] = list(texts[i]) != list(texts[j])
                continue
            found[i, j] = found[j, i] = 1 - shared / either
    return found


def embedding_distance(vectors: npt.NDArray[np.floating]) -> Array:
    """1 - cosine of each pair of unit vectors: (n, d) -> (n, n), in [0, 2], float64."""
    wide = vectors.astype(np.float64)
    # Products of unit vectors leave [-1, 1] by rounding.
    found: Array = 1 - np.clip(wide @ wide.T, -1, 1)
    np.fill_diagonal(found, 0)
    return found
