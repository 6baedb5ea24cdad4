"""Distinct n-grams and self-BLEU against plain definitions."""

import itertools
import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.shared.diversity.ngrams import (
    distinct,
    expectation_adjusted_distinct,
    ngram_counts,
    ngrams,
    rarefied_distinct,
    self_bleu,
)

WORDS = st.lists(st.sampled_from("abcde"), min_size=1, max_size=9)


def zipf_texts(seed, texts, length, words=2000):
    weights = [1 / rank for rank in range(1, words + 1)]
    source = random.Random(seed)
    return [source.choices(range(words), weights, k=length) for _ in range(texts)]


def pool(texts, n=1):
    return ngram_counts([[str(word) for word in text] for text in texts], n)


def test_no_ngram_crosses_from_one_text_into_the_next():
    assert ngram_counts([["a", "b"], ["b", "a"], ["c"]], 2) == {("a", "b"): 1, ("b", "a"): 1}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=7), st.data())
def test_rarefied_distinct_is_the_mean_over_all_choices_of_m(letters, data):
    m = data.draw(st.integers(1, len(letters)))
    every = [len(set(chosen)) / m for chosen in itertools.combinations(letters, m)]
    found = rarefied_distinct(Counter((letter,) for letter in letters), m)
    assert math.isclose(found, sum(every) / len(every), rel_tol=1e-12)


def test_rarefied_distinct_of_all_ngrams_is_distinct_and_of_one_is_1():
    counts = Counter({("a",): 3, ("b",): 1})
    assert rarefied_distinct(counts, 4) == distinct(counts) == 0.5
    assert rarefied_distinct(counts, 1) == 1
    for m in (0, 5):
        with pytest.raises(ValueError, match=f"m={m}"):
            rarefied_distinct(counts, m)


def test_rarefied_distinct_does_not_depend_on_length_and_the_others_do():
    # The same source of words; only the length of the ten texts changes, 5 to 80 words.
    pools = {
        length: [pool(zipf_texts(seed, 10, length)) for seed in range(40)] for length in (5, 20, 80)
    }
    means = {
        name: [sum(map(measure, sets)) / len(sets) for sets in pools.values()]
        for name, measure in {
            "rarefied": lambda counts: rarefied_distinct(counts, 40),
            "plain": distinct,
            "adjusted": lambda counts: expectation_adjusted_distinct(counts, 2000),
        }.items()
    }
    assert max(means["rarefied"]) - min(means["rarefied"]) < 0.02
    assert means["plain"][0] - means["plain"][2] > 0.25
    # A third of the bias, in logarithms, is what the adjustment takes out.
    removed = 1 - math.log(means["adjusted"][0] / means["adjusted"][2]) / math.log(
        means["plain"][0] / means["plain"][2]
    )
    assert 0.2 < removed < 0.45


def test_adjusted_distinct_of_closed_forms():
    counts = Counter({("a",): 3, ("b",): 1})
    assert math.isclose(expectation_adjusted_distinct(counts, 2), 2 / (2 * (1 - 0.5**4)))
    # With endless words as many different ones are expected as there are n-grams.
    assert math.isclose(expectation_adjusted_distinct(counts, 10**15), 0.5, rel_tol=1e-9)
    assert expectation_adjusted_distinct(Counter({("a",): 3}), 1) == 1
    with pytest.raises(ValueError, match="0 n-grams"):
        expectation_adjusted_distinct(Counter(), 5)
    with pytest.raises(ValueError, match="not defined"):
        distinct(Counter())


def naive_bleu(text, others):
    logs = 0.0
    for n in range(1, 5):
        own = Counter(ngrams(text, n))
        clipped = sum(
            min(count, max(Counter(ngrams(other, n))[gram] for other in others))
            for gram, count in own.items()
        )
        if n == 1 and clipped == 0:
            return 0.0
        more = 0 if n == 1 else 1
        logs += math.log((clipped + more) / (own.total() + more))
    closest = min((abs(len(other) - len(text)), len(other)) for other in others)[1]
    return math.exp(min(0.0, 1 - closest / len(text)) + logs / 4)


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=2, max_size=7))
def test_self_bleu_is_the_naive_value_to_the_last_bit(texts):
    total = 0.0
    for number, text in enumerate(texts):
        total += naive_bleu(text, texts[:number] + texts[number + 1 :])
    assert self_bleu(texts) == total / len(texts)


def test_self_bleu_of_sixty_texts_is_the_naive_value_to_the_last_bit():
    source = random.Random(0)
    texts = [
        [str(word) for word in text][: source.randint(1, 20)]
        for text in zipf_texts(1, 60, 20, words=50)
    ]
    total = 0.0
    for number, text in enumerate(texts):
        total += naive_bleu(text, texts[:number] + texts[number + 1 :])
    assert self_bleu(texts) == total / len(texts)


def test_self_bleu_at_its_ends():
    assert self_bleu([["a", "b", "c", "d", "e"]] * 3) == 1
    assert self_bleu([["a"], ["b"]]) == 0
    for texts in ([["a"]], [["a"], []]):
        with pytest.raises(ValueError, match="two texts or more"):
            self_bleu(texts)
