"""Intervals over seeds and questions: the known ones at both ends, and how often they miss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.shared.reporting.seeds import (
    drawn_means,
    estimate,
    estimate_from,
    half_width,
    two_sided,
)
from engines.shared.reporting.statistics import t_interval

VALUES = st.lists(st.floats(-2, 2), min_size=2, max_size=6)


@given(VALUES)
@settings(deadline=None)  # the first call loads scipy
def test_seeds_alone_have_students_interval(values: list[float]) -> None:
    found, known = estimate_from(np.array(values), 0.0).interval, t_interval(values)
    assert (found.value, found.low, found.high) == pytest.approx(
        (known.value, known.low, known.high), abs=1e-9
    )


def test_one_seed_has_the_interval_of_its_questions() -> None:
    found = estimate_from(np.array([0.4]), 0.01)
    assert found.seeds == 1
    assert found.interval.high - found.interval.value == pytest.approx(1.959964 * 0.1, rel=1e-5)


@given(VALUES, st.floats(0, 1))
@settings(deadline=None)  # the first call loads scipy
def test_the_p_value_is_the_level_at_which_the_interval_reaches_0(
    values: list[float], over_questions: float
) -> None:
    over_seeds = float(np.var(values, ddof=1)) / len(values)
    far = abs(float(np.mean(values)))
    p_value = two_sided(far, over_seeds, over_questions, len(values))
    if 1e-12 < p_value < 1:
        half = half_width(p_value, over_seeds, over_questions, len(values))
        assert half == pytest.approx(far, rel=1e-5)


def test_models_of_a_draw_answer_the_same_questions() -> None:
    random = np.random.default_rng(0)
    scores = random.random((1, 80))
    together = np.concatenate([scores, scores + 1])
    drawn = drawn_means(together, random, 3000)
    assert drawn.shape == (3000, 2)
    assert drawn[:, 1] - drawn[:, 0] == pytest.approx(np.ones(3000))
    # s^2 / n with the divisor n, as questions are drawn from those that there are.
    assert drawn[:, 0].var() == pytest.approx(scores.var() / 80, rel=0.1)
    assert drawn[:, 0].mean() == pytest.approx(scores.mean(), abs=0.005)


def test_large_blocks_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    from engines.shared.reporting import seeds

    scores = np.random.default_rng(1).random((3, 40))
    whole = drawn_means(scores, np.random.default_rng(2), 50)
    monkeypatch.setattr(seeds, "AT_A_TIME", 40 * 7)
    assert drawn_means(scores, np.random.default_rng(2), 50) == pytest.approx(whole)


@pytest.mark.parametrize("shared", [0.0, 0.3, 1.0, 5.0])
def test_intervals_of_three_seeds_miss_at_most_one_time_in_twenty(shared: float) -> None:
    """Run-to-run noise of 1 / sqrt(3) on the mean, and ``shared`` times that which all seeds have
    in common. The percentiles of seeds drawn anew would miss far more often."""
    random, repeats = np.random.default_rng(3), 4000
    common = shared / np.sqrt(3)
    missed = 0
    for _ in range(repeats):
        values = random.standard_normal(3) + common * random.standard_normal()
        over_seeds = float(values.var(ddof=1)) / 3
        missed += abs(values.mean()) > half_width(0.05, over_seeds, common**2, 3)
    # 0.05 and three standard errors of a share of 4,000.
    assert missed / repeats < 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)


def test_seeds_without_a_value_are_left_out() -> None:
    drawn = np.zeros((100, 3))
    found = estimate(np.array([1.0, np.nan, 3.0]), drawn)
    assert found is not None
    assert (found.interval.value, found.seeds) == (2.0, 2)
    assert estimate(np.array([np.nan, np.nan]), drawn[:, :2]) is None
    # Questions drawn anew seldom allow a value: there is none.
    drawn[:80] = np.nan
    assert estimate(np.array([1.0, 2.0, 3.0]), drawn) is None
