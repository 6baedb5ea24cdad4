"""Intervals, tests and corrections against closed forms and plainly written procedures."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.shared.reporting.statistics import (
    benjamini_hochberg,
    holm,
    mcnemar,
    minimum_detectable,
    paired_bootstrap,
    sign_flip,
    t_interval,
    wilson,
)

differences = st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=2, max_size=30).map(np.array)


def test_wilson_is_its_closed_form_at_zero_successes():
    z2 = 1.959963984540054**2
    found = wilson(0, 20)
    assert found.low == pytest.approx(0.0)
    assert found.high == pytest.approx(z2 / (20 + z2))


@given(st.integers(1, 400), st.sampled_from([-1.0, 0.0, 1.0]))
def test_where_all_problems_agree_the_interval_is_that_of_none_seen_in_n(n, value):
    found = paired_bootstrap([np.full(n, value)], seed=0)
    unseen = 1 - 0.025 ** (1 / n)  # Clopper and Pearson's upper end at 0 of n
    assert found.value == value
    assert (found.low, found.high) == pytest.approx(
        (value - unseen * (value + 1), value + unseen * (1 - value))
    )
    assert (1 - unseen) ** n == pytest.approx(0.025)


def test_the_bootstrap_of_two_problems_is_its_four_equally_likely_draws():
    # Draws of (0, 1): means 0, 1/2, 1/2, 1, so that the 2.5 % and 97.5 % quantiles are 0 and 1.
    found = paired_bootstrap([np.array([0.0, 1.0])], seed=0)
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


def test_the_bootstrap_redraws_within_each_group():
    # Between the groups there is a difference of 1, within them almost none: redrawing over all
    # problems would be far wider.
    groups = [np.array([0.0] * 99 + [0.01]), np.array([1.0] * 99 + [0.99])]
    found = paired_bootstrap(groups, seed=0, draws=500)
    assert 0.499 < found.low <= found.value <= found.high < 0.501


@given(differences)
def test_swapping_the_arms_mirrors_the_interval(values):
    one, other = paired_bootstrap([values], 3, 200), paired_bootstrap([-values], 3, 200)
    assert (other.low, other.value, other.high) == pytest.approx((-one.high, -one.value, -one.low))


def test_the_t_interval_of_two_seeds_and_the_detectable_difference_are_their_closed_forms():
    assert t_interval([0.0, 2.0]).high == pytest.approx(1 + 12.706)
    values = np.array([0.0, 1.0, 0.0, 1.0])
    assert minimum_detectable([values]) == pytest.approx(
        2.8015852 * values.std(ddof=1) / math.sqrt(4)
    )


def test_mcnemar_is_the_binomial_tail_of_a_fair_coin():
    assert mcnemar(np.array([1.0] * 9 + [-1.0] + [0.0] * 50)) == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar(np.zeros(20)) == 1.0


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 5))
def test_mcnemar_is_the_share_of_sign_patterns_at_least_as_lopsided(up, down, ties):
    n, values = up + down, np.array([1.0] * up + [-1.0] * down + [0.0] * ties)
    patterns = (
        [abs(2 * bin(bits).count("1") - n) >= abs(up - down) for bits in range(2 ** min(n, 10))]
        if n <= 10
        else None
    )
    if patterns is not None and n > 0:
        assert mcnemar(values) == pytest.approx(sum(patterns) / len(patterns))
    assert mcnemar(values) == mcnemar(-values)


@given(differences)
def test_the_sign_flip_test_agrees_with_mcnemar_and_is_the_same_for_both_directions(values):
    found = sign_flip([values], seed=1, draws=4000)
    assert found == sign_flip([-values], seed=1, draws=4000)
    # 4000 draws: standard errors of 0.008 at most.
    assert abs(found - mcnemar(values)) < 0.05


p_values = st.lists(st.floats(0.0001, 1.0), min_size=1, max_size=12)


@given(p_values)
def test_corrections_only_raise_p_values_keep_their_order_and_holm_is_the_stricter(values):
    strict, mild = holm(values), benjamini_hochberg(values)
    # Float64: a product with the number of tests.
    assert all(p - 1e-12 <= b <= a + 1e-12 for p, a, b in zip(values, strict, mild, strict=True))
    for adjusted in (strict, mild):
        assert [adjusted[i] for i in np.argsort(values, kind="stable")] == sorted(adjusted)
        assert max(adjusted) <= 1.0


@given(p_values, st.floats(0.001, 0.999))
def test_holm_rejects_what_the_step_down_procedure_rejects(values, level):
    ordered, rejected = sorted(values), 0
    while rejected < len(values) and ordered[rejected] * (len(values) - rejected) <= level:
        rejected += 1
    assert sum(p <= level for p in holm(values)) == rejected


@given(p_values, st.floats(0.001, 0.999))
def test_benjamini_and_hochberg_reject_what_the_step_up_procedure_rejects(values, level):
    ordered, n = sorted(values), len(values)
    largest = max((k for k in range(1, n + 1) if ordered[k - 1] * n / k <= level), default=0)
    assert sum(p <= level for p in benjamini_hochberg(values)) == largest


def test_corrections_are_their_worked_example():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
