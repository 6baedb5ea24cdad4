"""Intervals, tests and corrections against closed forms, plainly written procedures, and libraries
that have the same for one group."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.regression.linear_model import WLS
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_of_a_table
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import zt_ind_solve_power

from engines.shared.reporting.statistics import (
    benjamini_hochberg,
    holm,
    mcnemar,
    minimum_detectable,
    paired_bootstrap,
    pass_at_k,
    ratio,
    sign_flip,
    standard_error,
    t_interval,
    t_quantile,
    unvaried,
    wilson,
)

differences = st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=2, max_size=30).map(np.array)


def test_wilson_is_its_closed_form_at_zero_successes():
    z2 = 1.959963984540054**2
    found = wilson(0, 20)
    assert found.low == pytest.approx(0.0)
    assert found.high == pytest.approx(z2 / (20 + z2))


@given(st.integers(1, 300), st.data())
def test_wilson_is_scipys_of_whole_successes(n, data):
    successes = data.draw(st.integers(0, n))
    found = wilson(successes, n)
    expected = scipy.stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert found.value == successes / n
    # Rounding errors of float64.
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_of_a_fraction_lies_between_its_neighbours_and_refuses_what_is_no_share():
    below, found, above = wilson(3, 10), wilson(3.5, 10), wilson(4, 10)
    assert below.low < found.low < above.low
    assert below.high < found.high < above.high
    for successes, n in ((0, 0), (11, 10), (-1, 10), (math.nan, 10)):
        with pytest.raises(ValueError, match="wilson:"):
            wilson(successes, n)


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


@given(st.integers(1, 500))
def test_what_an_unvaried_group_may_hide_is_the_exact_interval_of_none_seen(n):
    # At 0 of n the upper end of Clopper and Pearson's interval.
    exact = scipy.stats.binomtest(0, n).proportion_ci(method="exact")
    assert unvaried([np.zeros(n)], [1.0], 0.0, 1.0).high == pytest.approx(exact.high)


def test_the_bootstrap_of_one_group_is_scipys_percentile_interval():
    values = np.random.default_rng(5).choice([-1.0, 0.0, 0.25, 1.0], 60)
    found = paired_bootstrap([values], seed=1, draws=40_000)
    expected = scipy.stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=40_000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    # The ends of 40,000 draws wander by 0.3 % of the interval's width; allowed are ten times that.
    allowed = 0.03 * (expected.high - expected.low)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=allowed)


def test_the_sign_flip_test_of_one_group_is_scipys_over_every_pattern_of_signs():
    values = np.array([0.5, -0.25, 1.0, 0.75, -0.5, 0.25, 1.0, 0.0, 0.25])
    # All 512 patterns.
    exact = scipy.stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    found = sign_flip([values], seed=3, draws=40_000)
    # 40,000 draws: a standard error of 0.0025 at most; allowed are four.
    assert found == pytest.approx(exact, abs=0.01)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=2, max_size=30))
def test_the_error_of_a_ratio_is_the_robust_one_of_a_weighted_regression(pairs):
    part, whole = np.array(pairs, dtype=float).T
    share, error = ratio(part, whole)
    # The slope through the origin with weights 1 / whole is the ratio of the sums, and the error
    # that allows for unequal variances is the linearised one.
    fit = WLS(part, whole, weights=1 / whole).fit(cov_type="HC1")
    assert share == pytest.approx(fit.params[0])
    # Of float64 sums of up to 400.
    assert error == pytest.approx(fit.bse[0], abs=1e-9)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=30))
def test_the_standard_error_is_scipys(values):
    assert standard_error(values) == pytest.approx(float(scipy.stats.sem(values)), abs=1e-12)


@given(differences)
def test_swapping_the_arms_mirrors_the_interval(values):
    one, other = paired_bootstrap([values], 3, 200), paired_bootstrap([-values], 3, 200)
    assert (other.low, other.value, other.high) == pytest.approx((-one.high, -one.value, -one.low))


def test_the_t_interval_of_two_seeds_and_the_detectable_difference_are_their_closed_forms():
    # One degree of freedom is Cauchy's distribution, whose quantile is a tangent.
    assert t_interval([0.0, 2.0]).high == pytest.approx(1 + math.tan(0.475 * math.pi))
    values = np.array([0.0, 1.0, 0.0, 1.0])
    assert minimum_detectable([values]) == pytest.approx(
        2.8015852 * values.std(ddof=1) / math.sqrt(4)
    )


@pytest.mark.parametrize(
    ("n", "quantile"), [(2, 12.7062), (31, 2.0423), (32, 2.0395), (500, 1.9647)]
)
def test_the_t_interval_has_its_own_quantile_for_every_number_of_values(n, quantile):
    # Tables of Student's t for 1, 30, 31 and 499 degrees of freedom.
    assert t_quantile(n - 1) == pytest.approx(quantile, abs=5e-5)
    values = list(np.random.default_rng(n).normal(size=n))
    found = t_interval(values)
    expected = scipy.stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_detectable_difference_is_the_one_that_statsmodels_solves_for():
    values = np.random.default_rng(4).choice([-1.0, 0.0, 1.0], 80)
    effect = zt_ind_solve_power(nobs1=80, alpha=0.05, power=0.8, ratio=0)
    # statsmodels counts the other tail as well, which weighs next to nothing.
    assert minimum_detectable([values]) == pytest.approx(effect * values.std(ddof=1), rel=1e-4)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_statsmodels_exact_test_of_the_table(up, down):
    values = np.array([1.0] * up + [-1.0] * down + [0.0] * 3)
    expected = mcnemar_of_a_table([[3, up], [down, 4]], exact=True).pvalue
    assert mcnemar(values) == pytest.approx(expected)


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
few = settings(max_examples=20, deadline=None)
"""statsmodels collects garbage at each correction: a fifth of a second in a process with so many
objects."""


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
    adjusted = holm(values)
    # The last bit is not held.
    assume(all(abs(p - level) > 1e-12 for p in adjusted))
    assert sum(p <= level for p in adjusted) == rejected


@given(p_values, st.floats(0.001, 0.999))
def test_benjamini_and_hochberg_reject_what_the_step_up_procedure_rejects(values, level):
    ordered, n = sorted(values), len(values)
    largest = max((k for k in range(1, n + 1) if ordered[k - 1] * n / k <= level), default=0)
    adjusted = benjamini_hochberg(values)
    # The order of a multiplication and a division may decide the last bit.
    assume(all(abs(p - level) > 1e-12 for p in adjusted))
    assert sum(p <= level for p in adjusted) == largest


def test_corrections_are_their_worked_example():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])


@few
@given(p_values)
@pytest.mark.parametrize(("correct", "method"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
def test_corrections_are_statsmodels_too(correct, method, values):
    expected = multipletests(values, method=method)[1]
    assert correct(values) == pytest.approx(list(expected))


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_corrections_refuse_what_is_no_p_value_and_forgive_a_rounding_error(correct):
    for wrong in (math.nan, -0.01, 1.01, math.inf):
        with pytest.raises(ValueError, match="no p-value"):
            correct([0.01, wrong, 0.04])
    assert correct([0.5, 1 + 2e-16]) == pytest.approx([1.0, 1.0])


def test_mcnemar_refuses_outcomes_that_are_shares_or_missing():
    for wrong in (0.5, math.nan, 2.0):
        with pytest.raises(ValueError, match="mcnemar:"):
            mcnemar(np.array([1.0, wrong]))


@pytest.mark.parametrize("value", [0.3, -0.3, 0.0])
def test_scores_that_differ_by_the_dust_of_averaging_show_no_spread(value):
    dusty = np.array([value, value + 5e-17, value])
    plain = paired_bootstrap([np.full(3, value)], seed=0)
    found = paired_bootstrap([dusty], seed=0)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high))
    assert found.high - found.low > 0.5
    assert minimum_detectable([np.array([0.1 + 0.2, 0.3, 0.3])]) is None


def test_corrections_of_no_p_value_are_none():
    assert holm([]) == []
    assert benjamini_hochberg([]) == []


def test_a_standard_error_alone_loads_neither_scipy_nor_statsmodels():
    # Trainings and evaluations import the module for it.
    code = (
        "import sys; from engines.shared.reporting.statistics import standard_error; "
        "standard_error([1.0, 2.0]); print({'scipy', 'statsmodels'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=9), st.data())
def test_pass_at_k_is_the_share_of_all_choices_of_k_samples_that_hold_a_right_one(
    right: list[bool], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(right)))
    chosen = [any(pick) for pick in itertools.combinations(right, k)]
    assert math.isclose(
        pass_at_k(len(right), sum(right), k), sum(chosen) / len(chosen), abs_tol=1e-12
    )


def test_pass_at_k_has_no_bias_where_the_plug_in_of_the_share_has() -> None:
    # Samples that are right with p = .15, n = 10, k = 5: summed over all 11 outcomes, exactly.
    n, p, k = 10, 0.15, 5
    chances = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    unbiased = sum(chance * pass_at_k(n, c, k) for c, chance in enumerate(chances))
    plug_in = sum(chance * (1 - (1 - c / n) ** k) for c, chance in enumerate(chances))
    assert math.isclose(unbiased, 1 - (1 - p) ** k, rel_tol=1e-12)
    assert abs(unbiased - 0.556) < 0.001
    assert abs(plug_in - 0.482) < 0.001


@pytest.mark.parametrize(("n", "c", "k"), [(3, 1, 4), (3, 1, 0), (3, 4, 1), (3, -1, 1)])
def test_pass_at_k_of_more_samples_than_there_are_is_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="not defined"):
        pass_at_k(n, c, k)
