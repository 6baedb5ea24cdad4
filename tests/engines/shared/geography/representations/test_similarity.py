"""CKA and Procrustes against their plain definitions, and what must and must not change them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes as scipy_procrustes

from engines.shared.geography.representations.similarity import (
    Array,
    all_pairs,
    biased_cka,
    cka,
    debiased_hsic,
    prepare,
    procrustes,
)

MEASURES = (cka, biased_cka, procrustes)


def drawn(seed: int, n: int, d: int) -> Array:
    return np.random.default_rng(seed).normal(size=(n, d))


def plain_hsic(x: Array, y: Array) -> float:
    """Song et al. 2012, word for word: n x n kernels without their diagonals."""
    k, m, n = x @ x.T, y @ y.T, len(x)
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    one = np.ones(n)
    inner = np.trace(k @ m)
    sums = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    return float((inner + sums - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3)))


def plain_biased(x: Array, y: Array) -> float:
    n = len(x)
    centring = np.eye(n) - 1 / n
    k, m = centring @ x @ x.T @ centring, centring @ y @ y.T @ centring
    return float((k * m).sum() / (np.linalg.norm(k) * np.linalg.norm(m)))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(4, 30),
    widths=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_both_forms_equal_the_plain_definitions_with_more_cities_and_with_more_features(
    seed: int, n: int, widths: tuple[int, int]
) -> None:
    x, y = drawn(seed, n, widths[0]) + 3, drawn(seed + 1, n, widths[1]) - 5
    first, second = prepare(x), prepare(y)
    assert debiased_hsic(first, second) == pytest.approx(plain_hsic(x, y), rel=1e-8, abs=1e-8)
    assert biased_cka(first, second) == pytest.approx(plain_biased(x, y), rel=1e-8)
    own = plain_hsic(x, x) * plain_hsic(y, y)
    if own > 1e-9:
        assert cka(first, second) == pytest.approx(plain_hsic(x, y) / math.sqrt(own), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(5, 30), d=st.integers(3, 12))
def test_procrustes_is_scipys_on_the_first_three_components(seed: int, n: int, d: int) -> None:
    def first_three(states: Array) -> Array:
        centred = states - states.mean(0)
        left, singular, _ = np.linalg.svd(centred, full_matrices=False)
        return left[:, :3] * singular[:3]

    x, y = drawn(seed, n, d), drawn(seed + 1, n, d + 2)
    expected = scipy_procrustes(first_three(x), first_three(y))[2]
    assert procrustes(prepare(x), prepare(y)) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_rotation_scale_and_shift_change_nothing(seed: int, scale: float, shift: float) -> None:
    x, y = drawn(seed, 20, 6), drawn(seed + 1, 20, 5)
    rotation = np.linalg.qr(drawn(seed + 2, 6, 6))[0]
    moved = scale * x @ rotation + shift
    for measure in MEASURES:
        assert measure(prepare(moved), prepare(y)) == pytest.approx(
            measure(prepare(x), prepare(y)), abs=1e-7
        )
    assert cka(prepare(moved), prepare(x)) == pytest.approx(1)
    assert procrustes(prepare(moved), prepare(x)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("stretch", [1, 3, 5])
def test_a_stretched_map_is_less_alike_as_the_closed_form_says(stretch: float) -> None:
    """A map with equal spread both ways, against itself stretched s : 1 in one direction:
    X'Y = diag(s, 1) and Y'Y = diag(s^2, 1) give (1 + s^2) / sqrt(2 (1 + s^4))."""
    angles = np.arange(4000) * (2 * np.pi / 4000)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    one, other = prepare(circle), prepare(circle * [stretch, 1])
    expected = (1 + stretch**2) / math.sqrt(2 * (1 + stretch**4))
    assert biased_cka(one, other) == pytest.approx(expected, abs=1e-9)
    # 4000 points: the bias is gone as well.
    assert cka(one, other) == pytest.approx(expected, abs=1e-3)
    # Singular values of diag(s, 1), both shapes of norm 1: (s + 1)^2 / (2 (s^2 + 1)).
    left = 1 - (stretch + 1) ** 2 / (2 * (stretch**2 + 1))
    assert procrustes(one, other) == pytest.approx(left, abs=1e-9)
    assert expected == pytest.approx({1: 1.0, 3: 0.781, 5: 0.735}[stretch], abs=5e-4)


@pytest.mark.parametrize(("n", "expected"), [(50, 0.839), (500, 0.337), (3250, 0.073)])
def test_independent_states_are_alike_only_by_the_bias(n: int, expected: float) -> None:
    pairs = [
        (prepare(drawn(2 * seed, n, 256)), prepare(drawn(2 * seed + 1, n, 256)))
        for seed in range(max(1, 1000 // n))
    ]
    biased = np.mean([biased_cka(*pair) for pair in pairs])
    assert biased == pytest.approx(256 / (n + 256), abs=0.005)
    assert biased == pytest.approx(expected, abs=0.005)
    assert abs(np.mean([cka(*pair) for pair in pairs])) < 0.03


def test_the_table_is_symmetric_with_a_diagonal_by_definition_and_no_pair_computed_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = [prepare(drawn(seed, 12, 4)) for seed in range(4)]
    for name, own in (("cka", 1.0), ("biased_cka", 1.0), ("procrustes", 0.0)):
        table = all_pairs(models, name)  # type: ignore[arg-type]
        assert (table == table.T).all()
        assert (np.diag(table) == own).all()
    calls = []

    def counted(first: object, second: object) -> float:
        calls.append((models.index(first), models.index(second)))  # type: ignore[arg-type]
        return 0.5

    monkeypatch.setitem(
        all_pairs.__globals__["MEASURES"],
        "cka",
        counted,
    )
    all_pairs(models, "cka")
    assert sorted(calls) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4 cities"):
        prepare(drawn(0, 3, 2))
    with pytest.raises(ValueError, match="not finite"):
        prepare(np.array([[1.0, np.nan]] * 5))
    with pytest.raises(ValueError, match="same for every city"):
        prepare(np.full((5, 3), 0.1))
    # A regular tetrahedron: every pair is as far apart as every other.
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    with pytest.raises(ValueError, match="like nothing"):
        cka(prepare(corners), prepare(drawn(0, 4, 3)))
