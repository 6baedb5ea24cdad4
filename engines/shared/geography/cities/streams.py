"""Random streams that are the same in every process.

In: a seed and words that say what is drawn. Out: a generator of its own. Worlds, sets of questions
and mixtures draw from them, each from its own, so that none moves when another one is left out.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *words: str) -> np.random.Generator:
    """The generator of what ``words`` name, under this seed (0 or more).

    Python's own hash of a text differs from process to process, so the words go through SHA-256.
    """
    digest = hashlib.sha256("\0".join(words).encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:16], "big")])
