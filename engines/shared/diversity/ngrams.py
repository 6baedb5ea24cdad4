"""How many different n-grams the texts of one set hold, and how much the texts overlap.

In: the tokens of each text of a set, such as the replies to one prompt. Out: shares. Called by
evaluations of sets of replies; nothing here needs numpy.

Every value depends on how much text there is: texts half as long look more diverse, and so do fewer
of them. ``rarefied_distinct`` alone takes that out; arms are to be compared by it, with the same m.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Tokens = Sequence[str]
Ngram = tuple[str, ...]

BLEU_ORDER = 4
"""Longest n-gram of BLEU."""


def ngrams(tokens: Tokens, n: int) -> Iterator[Ngram]:
    """The n-grams of a text in their order; none where it has fewer than n tokens."""
    return zip(*(tokens[start:] for start in range(n)), strict=False)


def ngram_counts(texts: Sequence[Tokens], n: int) -> Counter[Ngram]:
    """How often each n-gram occurs in a set; no n-gram crosses from one text into the next."""
    counts: Counter[Ngram] = Counter()
    for tokens in texts:
        counts.update(ngrams(tokens, n))
    return counts


def distinct(counts: Counter[Ngram]) -> float:
    """Different n-grams over n-grams (Li et al. 2016, arXiv 1510.03055). ValueError for none.

    Falls with length: .76 for ten texts of 5 words is .42 for ten of 80 words of the same source.
    """
    total = counts.total()
    if total == 0:
        raise ValueError("distinct-n of no n-grams is not defined")
    return len(counts) / total


def rarefied_distinct(counts: Counter[Ngram], m: int) -> float:
    """Expected share of different n-grams among m of them, drawn without putting back.

    An n-gram that occurs c times among N is missed by C(N - c, m) of C(N, m) draws (Hurlbert 1971,
    equation 10, for species). Exact, in integers. 1/m to 1; equal sources give equal values at the
    same m, whatever their lengths. ValueError unless 1 <= m <= N.
    """
    total = counts.total()
    if not 1 <= m <= total:
        raise ValueError(f"rarefied distinct-n of m={m} needs 1 <= m <= {total} n-grams")
    draws = math.comb(total, m)
    missed = 0
    # Many n-grams occur equally often: a binomial coefficient for each count is enough.
    for count, types in Counter(counts.values()).items():
        missed += types * math.comb(total - count, m)
    return (len(counts) * draws - missed) / (draws * m)


def expectation_adjusted_distinct(counts: Counter[Ngram], possible: int) -> float:
    """Different n-grams over those that as many uniform draws from ``possible`` ones would give.

    Liu et al. 2022 (arXiv 2202.13587), equation 5: D / (V (1 - ((V - 1) / V)^N)). Above 0, and
    above 1 where the n-grams repeat less than uniform ones. Words are not uniform, so a third of
    the bias by length is removed, not all. ValueError for no n-grams or ``possible`` < 1.
    """
    total = counts.total()
    if total == 0 or possible < 1:
        raise ValueError(f"{total} n-grams of {possible} possible ones have no expectation")
    # expm1 and log1p: ((V - 1) / V)^N rounds to 1 where V is large. One n-gram alone has no log.
    expected = -possible * math.expm1(total * math.log1p(-1 / possible)) if possible > 1 else 1.0
    return len(counts) / expected


@dataclass
class Most:
    """How often an n-gram occurs in the text that has it most often, and in the next one."""

    most: int = 0
    owner: int = -1
    second: int = 0

    def add(self, text: int, count: int) -> None:
        """Take in how often a text has it."""
        if count > self.most:
            self.most, self.owner, self.second = count, text, self.most
        elif count > self.second:
            self.second = count

    def in_others(self, text: int) -> int:
        """The largest count in any other text."""
        return self.second if text == self.owner else self.most


def self_bleu(texts: Sequence[Tokens]) -> float:
    """Mean BLEU-4 of each text against all the others (Zhu et al. 2018, arXiv 1802.01886), 0 to 1;
    high where texts are alike.

    In time linear in the text: an n-gram's largest count, the text that has it, and the second
    largest say what the others hold. BLEU is Papineni et al. 2002 with 1 added to both counts of
    n >= 2 (Lin and Och 2004); sacrebleu and NLTK smooth in other ways and give other values. The
    reference length is the closest one of the other texts, the shorter of two. Rises with the
    number of texts. ValueError for fewer than two, or a text without a token.
    """
    if len(texts) < 2 or not all(texts):
        raise ValueError("self-BLEU needs two texts or more, each with a token")
    counted: list[list[Counter[Ngram]]] = []
    tables: list[dict[Ngram, Most]] = [{} for _ in range(BLEU_ORDER)]
    for number, tokens in enumerate(texts):
        orders = [Counter(ngrams(tokens, n)) for n in range(1, BLEU_ORDER + 1)]
        counted.append(orders)
        for table, counts in zip(tables, orders, strict=True):
            for gram, count in counts.items():
                table.setdefault(gram, Most()).add(number, count)
    lengths = Lengths([len(tokens) for tokens in texts])
    total = 0.0
    for number, orders in enumerate(counted):
        matches = [
            sum(min(count, table[gram].in_others(number)) for gram, count in counts.items())
            for table, counts in zip(tables, orders, strict=True)
        ]
        length = len(texts[number])
        total += bleu(matches, length, lengths.closest_other(length))
    return total / len(texts)


def bleu(matches: Sequence[int], length: int, reference_length: int) -> float:
    """BLEU of a text of ``length`` tokens from its matching n-grams of each order from 1 on."""
    if matches[0] == 0:
        return 0.0
    logs = 0.0
    for order, matching in enumerate(matches):
        smoothing = 1 if order > 0 else 0
        ngrams_of_text = max(length - order, 0)
        logs += math.log((matching + smoothing) / (ngrams_of_text + smoothing))
    brevity = min(0.0, 1 - reference_length / length)
    return math.exp(brevity + logs / len(matches))


class Lengths:
    """The lengths of all texts, to find the closest one of another text."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.texts = Counter(lengths)
        self.different = sorted(self.texts)

    def closest_other(self, length: int) -> int:
        """The closest length among the texts but for one of ``length``; the shorter of two."""
        if self.texts[length] > 1:
            return length
        place = bisect_left(self.different, length)
        neighbours = self.different[max(place - 1, 0) : place] + self.different[place + 1 :][:1]
        return min(neighbours, key=lambda other: (abs(other - length), other))
