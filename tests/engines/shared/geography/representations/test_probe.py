"""Ridge probes: each fit is the plain solution, its penalty the one that leaving out row by row
chooses, and nothing is read where nothing is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.shared.geography.representations.probe import PENALTIES, Array, distances, fit, r2


def problem(seed: int, n: int, d: int, noise: float = 0.5) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, d)) * random.uniform(0.1, 10, d) + 4
    y = x @ random.normal(size=(d, 2)) + noise * random.normal(size=(n, 2)) * [1, 30] - 7
    return x, y


def plain_ridge(x: Array, y: Array, penalty: float) -> tuple[Array, float]:
    """Weights and intercept by the normal equations, the intercept without a penalty."""
    columns = np.column_stack([x, np.ones(len(x))])
    ridge = penalty * np.eye(columns.shape[1])
    ridge[-1, -1] = 0
    solved = np.linalg.solve(columns.T @ columns + ridge, columns.T @ y)
    return solved[:-1], float(solved[-1])


def unit(x: Array) -> float:
    centred = x - x.mean(0)
    return float(np.linalg.eigvalsh(centred.T @ centred).mean())


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 500), n=st.integers(6, 20), d=st.integers(1, 8))
def test_the_penalty_is_the_one_that_leaving_out_each_row_in_turn_chooses(
    seed: int, n: int, d: int
) -> None:
    x, y = problem(seed, n, d)
    probe = fit(x, y)
    scale = unit(x)
    for k in range(2):
        plain, readings = [], []
        for penalty in PENALTIES:
            errors = []
            for row in range(n):
                rest = np.arange(n) != row
                weights, intercept = plain_ridge(x[rest], y[rest, k], penalty * scale)
                errors.append(float(x[row] @ weights) + intercept - y[row, k])
            plain.append(np.square(errors).sum())
            readings.append(y[:, k] + errors)
        chosen = int(np.flatnonzero(probe.penalties[k] == PENALTIES)[0])
        # Two penalties may be equally good up to rounding.
        assert plain[chosen] == pytest.approx(min(plain), rel=1e-3)
        np.testing.assert_allclose(probe.left_out[:, k], readings[chosen], rtol=1e-3, atol=1e-3)
        total = np.square(y[:, k] - y[:, k].mean()).sum()
        assert probe.left_out_r2[k] == pytest.approx(1 - plain[chosen] / total, rel=1e-3, abs=1e-3)
        weights, intercept = plain_ridge(x, y[:, k], float(probe.penalties[k]) * scale)
        np.testing.assert_allclose(probe.weights[:, k], weights, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(
            probe.read(x)[:, k], x @ weights + intercept, rtol=1e-4, atol=1e-4
        )


def test_more_features_than_rows_are_no_hindrance() -> None:
    random = np.random.default_rng(0)
    places = random.normal(size=(400, 2)) * 300
    states = places @ random.normal(size=(2, 300)) + random.normal(size=(400, 300)) * 200
    probe = fit(states[:150], places[:150])
    share, error = r2(places[150:, 0], probe.read(states[150:])[:, 0])
    assert share > 0.9
    assert error is not None
    assert 0 < error < 0.05


def test_nothing_is_read_from_states_that_know_nothing() -> None:
    random = np.random.default_rng(1)
    states, places = random.normal(size=(400, 128)), random.normal(size=(400, 2)) * 300
    probe = fit(states[:250], places[:250])
    for k in range(2):
        # The plain fit would be far below 0 here; the chosen penalty takes it back to the mean.
        assert -0.15 < r2(places[250:, k], probe.read(states[250:])[:, k])[0] < 0.05
    plain = np.linalg.lstsq(np.column_stack([states[:250], np.ones(250)]), places[:250], rcond=None)
    without = np.column_stack([states[250:], np.ones(150)]) @ plain[0]
    assert r2(places[250:, 0], without[:, 0])[0] < -0.5


def test_a_rotation_and_another_unit_of_the_features_change_nothing() -> None:
    x, y = problem(3, 40, 6)
    rotation = np.linalg.qr(np.random.default_rng(4).normal(size=(6, 6)))[0]
    one, other = fit(x, y), fit(x @ rotation * 50, y)
    assert (one.penalties == other.penalties).all()
    np.testing.assert_allclose(other.read(x @ rotation * 50), one.read(x), rtol=1e-8)


def test_r2_is_0_for_the_mean_and_1_for_the_truth_and_its_error_is_that_of_redrawn_rows() -> None:
    truth = np.random.default_rng(5).normal(size=2000) * 3 + 10
    assert r2(truth, truth) == (1.0, 0.0)
    assert r2(truth, np.full(2000, truth.mean()))[0] == pytest.approx(0)
    random = np.random.default_rng(6)
    read = truth + random.normal(size=2000) * 2
    _, error = r2(truth, read)
    redrawn = []
    for _ in range(400):
        rows = random.integers(0, 2000, 2000)
        redrawn.append(r2(truth[rows], read[rows])[0])
    assert error == pytest.approx(np.std(redrawn), rel=0.15)
    with pytest.raises(ValueError, match="equal"):
        r2(np.ones(5), np.arange(5.0))


def test_distances_are_on_the_plane() -> None:
    truth, read = np.array([[0, 0], [10, -5]]), np.array([[3, 4], [10, -5]])
    assert distances(truth, read).tolist() == [5, 0]


def test_what_cannot_be_fitted_is_refused() -> None:
    x, y = problem(0, 10, 2)
    with pytest.raises(ValueError, match="3 rows or more"):
        fit(x[:2], y[:2])
    with pytest.raises(ValueError, match="not finite"):
        fit(np.where(x == x[0, 0], np.inf, x), y)
    with pytest.raises(ValueError, match="same in all rows"):
        fit(x, np.ones((10, 2)))
    # Features without variation read the mean.
    flat = fit(np.ones((10, 3)), y)
    np.testing.assert_allclose(flat.read(np.ones((2, 3))), np.tile(y.mean(0), (2, 1)))
