"""Diversity of unit vectors against matrices of pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.shared.diversity.vendi import mean_cosine_distance, vendi_score


def units(seed, n, width):
    vectors = np.random.default_rng(seed).normal(size=(n, width))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(1, 20))
def test_both_equal_what_the_matrix_of_pairs_gives(seed, n, width):
    vectors = units(seed, n, width)
    cosines = vectors @ vectors.T
    above = np.triu_indices(n, 1)
    assert abs(mean_cosine_distance(vectors) - (1 - cosines[above]).mean()) < 1e-12
    eigenvalues = np.linalg.eigvalsh(cosines / n)
    eigenvalues = eigenvalues[eigenvalues > 1e-15]
    expected = np.exp(-(eigenvalues * np.log(eigenvalues)).sum())
    assert abs(vendi_score(vectors) - expected) < 1e-9


def test_equal_vectors_count_as_one_and_orthogonal_ones_each():
    same = np.repeat(units(0, 1, 6), 5, axis=0)
    assert abs(vendi_score(same) - 1) < 1e-9
    assert abs(mean_cosine_distance(same)) < 1e-12
    assert abs(vendi_score(np.eye(5)) - 5) < 1e-9
    assert mean_cosine_distance(np.eye(5)) == 1
    assert abs(mean_cosine_distance(np.array([[1.0], [-1.0]])) - 2) < 1e-12


@pytest.mark.parametrize("n", [5, 10, 50])
def test_random_vectors_have_nearly_all_of_n_so_n_belongs_to_the_value(n):
    # Squared cosines of random directions are 1 / d on average, which takes (n - 1) / 2d from the
    # entropy, to first order.
    width = 384
    found = np.mean([vendi_score(units(seed, n, width)) for seed in range(5)])
    assert abs(found / (n * np.exp(-(n - 1) / (2 * width))) - 1) < 0.005


def test_float32_vectors_are_taken_as_they_are():
    vectors = units(3, 2000, 384).astype(np.float32)
    exact = vectors.astype(np.float64)
    cosines = (exact @ exact.T)[np.triu_indices(2000, 1)]
    assert abs(mean_cosine_distance(vectors) - (1 - cosines).mean()) < 1e-12


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (np.ones((3, 2)), "length 1"),
        (np.full((3, 2), np.nan), "length 1"),
        (np.ones((1, 1)), "2 vectors or more"),
        (np.ones(3), "as rows"),
    ],
)
def test_vectors_that_mean_nothing_are_refused(vectors, words):
    with pytest.raises(ValueError, match=words):
        mean_cosine_distance(vectors)
