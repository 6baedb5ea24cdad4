"""Distances between texts, against sets and loops written from the definition."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.shared.diversity.distances import bigram_distance, embedding_distance

TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=6), min_size=1, max_size=6)


@settings(deadline=None)
@given(TEXTS)
def test_bigram_distance_is_one_minus_jaccard(texts):
    found = bigram_distance(texts)
    for (i, first), (j, second) in itertools.product(enumerate(texts), repeat=2):
        a, b = set(itertools.pairwise(first)), set(itertools.pairwise(second))
        if a | b:
            assert found[i, j] == pytest.approx(1 - len(a & b) / len(a | b))
        else:
            assert found[i, j] == (first != second)


@settings(deadline=None)
@given(TEXTS)
def test_bigram_distance_is_a_metric_but_for_texts_of_equal_bigrams(texts):
    found = bigram_distance(texts)
    assert (found == found.T).all()
    assert not found.diagonal().any()
    assert ((found >= 0) & (found <= 1)).all()
    if all(len(text) > 1 for text in texts):
        # The Jaccard distance obeys the triangle inequality.
        around = found[:, :, None] + found[None, :, :]
        assert (found[:, None, :] <= around + 1e-12).all()


def test_texts_without_a_bigram():
    found = bigram_distance([[], [], ["yes"], ["yes"], ["no"], ["yes", "no"]])
    assert found[0].tolist() == [0, 0, 1, 1, 1, 1]
    assert found[2].tolist() == [1, 1, 0, 0, 1, 1]


def test_token_ids_do_as_well_as_words():
    assert bigram_distance([[1, 2, 3], (1, 2, 4)])[0, 1] == pytest.approx(2 / 3)


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 5))
def test_embedding_distance_is_one_minus_the_cosine(seed, n, width):
    vectors = np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = embedding_distance(vectors)
    assert found.dtype == np.float64
    for i, j in itertools.product(range(n), repeat=2):
        expected = 0 if i == j else 1 - float(vectors[i].astype(float) @ vectors[j].astype(float))
        assert found[i, j] == pytest.approx(expected, abs=1e-6)
    assert ((found >= 0) & (found <= 2)).all()


def test_embeddings_at_right_angles_equal_and_opposite():
    found = embedding_distance(np.array([[1, 0], [0, 1], [1, 0], [-1, 0]], dtype=np.float32))
    assert found[0].tolist() == [0, 1, 0, 2]
