"""Normalised improvement: known answers in both directions, its fixed points, and where it has no
value."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.geography_report.transfer.normalise import improvement

ERRORS = st.floats(0.1, 1e6)
SHARES = st.floats(0, 1)


def one(value: float, before: float, goal: float, higher_is_better: bool) -> float:
    given = np.array([value, before, goal], np.float64)
    return float(improvement(given[:1], given[1:2], given[2:], higher_is_better)[0])


@pytest.mark.parametrize(
    ("value", "before", "goal", "higher_is_better", "expected"),
    [
        # Accuracies: (v - A) / (B - A).
        (0.3, 0.3, 0.8, True, 0),
        (0.8, 0.3, 0.8, True, 1),
        (0.55, 0.3, 0.8, True, 0.5),
        (0.2, 0.3, 0.8, True, 0),  # cut below
        (0.95, 0.5, 0.8, True, 1.5),
        (1.0, 0.5, 0.8, True, 1.5),  # 5/3, cut above
        (0.4, 0.5, 0.5, True, math.nan),
        (0.4, 0.5, 0.4, True, math.nan),
        # Errors: ln(A / v) / ln(A / B).
        (400, 400, 100, False, 0),
        (100, 400, 100, False, 1),
        (200, 400, 100, False, 0.5),
        (50, 400, 100, False, 1.5),
        (25, 400, 100, False, 1.5),  # 2, cut
        (800, 400, 100, False, 0),
        (400, 100, 100, False, math.nan),
        (50, 100, 200, False, math.nan),
        # No logarithm of 0: (A - v) / (A - B).
        (0, 400, 100, False, 4 / 3),
        (100, 400, 0, False, 0.75),
        (0, 400, 0, False, 1),
    ],
)
def test_known_answers(
    value: float, before: float, goal: float, higher_is_better: bool, expected: float
) -> None:
    found = one(value, before, goal, higher_is_better)
    assert found == pytest.approx(expected, nan_ok=True)


@given(ERRORS, ERRORS, ERRORS, st.floats(0.01, 100))
def test_errors_have_no_unit(value: float, before: float, goal: float, scale: float) -> None:
    first = one(value, before, goal, False)
    second = one(value * scale, before * scale, goal * scale, False)
    # A denominator at 0 may fall on either side of it by rounding.
    if abs(math.log(before / goal)) > 1e-9:
        assert second == pytest.approx(first, rel=1e-5, abs=1e-5, nan_ok=True)


@given(SHARES, SHARES, SHARES, SHARES)
def test_a_better_score_is_never_less(a: float, b: float, before: float, goal: float) -> None:
    worse, better = sorted((a, b))
    first, second = one(worse, before, goal, True), one(better, before, goal, True)
    assert math.isnan(first) == math.isnan(second) == (goal <= before)
    assert math.isnan(first) or 0 <= first <= second <= 1.5
