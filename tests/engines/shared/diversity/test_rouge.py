"""ROUGE over Unicode tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.shared.diversity.rouge import longest_common_subsequence, rouge_l, rouge_n
from engines.shared.diversity.words import unicode_tokens

TOKENS = st.lists(st.sampled_from("abcd"), max_size=8)


def table_of_lengths(one, other):
    lengths = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, left in enumerate(one):
        for j, right in enumerate(other):
            longer = max(lengths[i][j + 1], lengths[i + 1][j])
            lengths[i + 1][j + 1] = lengths[i][j] + 1 if left == right else longer
    return lengths[-1][-1]


@given(TOKENS, TOKENS)
def test_the_longest_common_subsequence_is_that_of_the_table(one, other):
    assert longest_common_subsequence(one, other) == table_of_lengths(one, other)


@pytest.mark.parametrize("text", ["...", "🔥🔥🎉", "Привет мир", "日本語", "ok", "", "a b c"])
def test_every_text_equals_itself_and_nothing_else_by_chance(text):
    tokens = unicode_tokens(text)
    assert [rouge_n(tokens, tokens, 1), rouge_n(tokens, tokens, 2), rouge_l(tokens, tokens)] == [
        1,
        1,
        1,
    ]
    other = unicode_tokens("🙃")
    assert [rouge_n(tokens, other, 1), rouge_n(tokens, other, 2), rouge_l(tokens, other)] == [
        0,
        0,
        0,
    ]


def test_known_values():
    # One of two unigrams and no bigram in common with three; "a c" is the common subsequence.
    assert rouge_n(["a", "b"], ["a", "c", "d"], 1) == 2 / 5
    assert rouge_n(["a", "b"], ["a", "c", "d"], 2) == 0
    assert rouge_l(["a", "b", "c"], ["a", "c"]) == 4 / 5
    # A word counts as often as both have it.
    assert rouge_n(["a", "a", "a"], ["a", "a"], 1) == 4 / 5
