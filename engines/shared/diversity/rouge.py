"""ROUGE over Unicode tokens: how much of a reference a text has in common with it.

In: tokens of two texts (``words.unicode_tokens``). Out: F1, 0 to 1. Called by evaluations against a
reference, and by checkers of copies.

A text always has 1 against itself. The usual package keeps ``[a-z0-9]`` alone, and gives a tweet of
emoji 0 against itself; on English words without a stemmer the values agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engines.shared.diversity.ngrams import ngrams

Tokens = Sequence[str]


def rouge_n(one: Tokens, other: Tokens, n: int) -> float:
    """F1 of the n-grams in common (Lin 2004, section 2). Of two texts without an n-gram, 1 where
    they are the same and 0 else."""
    counts, others = Counter(ngrams(one, n)), Counter(ngrams(other, n))
    if not counts and not others:
        return float(list(one) == list(other))
    return 2 * (counts & others).total() / (counts.total() + others.total())


def rouge_l(one: Tokens, other: Tokens) -> float:
    """F1 of the longest common subsequence (Lin 2004, section 3.1, with beta = 1). Of two empty
    texts 1."""
    if not one and not other:
        return 1.0
    return 2 * longest_common_subsequence(one, other) / (len(one) + len(other))


def longest_common_subsequence(one: Tokens, other: Tokens) -> int:
    """Its length in tokens, one pass over ``other`` with an integer of len(one) bits (Hyyro 2004,
    "Bit-parallel LCS-length computation revisited")."""
    places: dict[str, int] = {}
    for place, token in enumerate(one):
        places[token] = places.get(token, 0) | 1 << place
    every_bit = (1 << len(one)) - 1
    # A zero bit at place i: the subsequence grows by one at token i.
    column = every_bit
    for token in other:
        matching = column & places.get(token, 0)
        column = ((column + matching) | (column - matching)) & every_bit
    return len(one) - column.bit_count()
