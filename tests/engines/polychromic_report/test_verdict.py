"""Known answers: equal models, diversity bought with nonsense, one seed, what is open."""

import numpy as np
import pytest

from engines.polychromic_report.compare import difference, relative_change
from engines.polychromic_report.config import DOCUMENT, Config, Margins
from engines.polychromic_report.verdict import (
    NEGATIVE,
    NO_VERDICT,
    OPEN,
    Arm,
    conclude,
    quality,
)

SEEDS, PROMPTS = 3, 100
NO_JUDGE = "no judge was asked"


def values(random, mean, seeds=SEEDS, over_seeds=0.01, over_prompts=0.05, of_prompts=None):
    """(seeds, prompts) around a mean: prompts that are alike for all models, seeds, and noise."""
    shared = np.zeros(PROMPTS) if of_prompts is None else of_prompts
    own = random.normal(0, over_seeds, (seeds, 1))
    return mean + shared + own + random.normal(0, over_prompts, (seeds, PROMPTS))


def arm(random, name, weight, gain, valid=0.0, cross_entropy=0.0, seeds=SEEDS, spread=0.003):
    """An arm with these true changes against a baseline of .5, 8 and 1."""

    def drawn(mean, sd):
        return values(random, mean, seeds, sd * spread, sd * 0.05)

    return Arm(
        name,
        weight,
        relative_change(drawn(0.5 * (1 + gain), 0.5), drawn(0.5, 0.5)),
        relative_change(drawn(8 * (1 + valid), 8), drawn(8, 8)),
        difference(drawn(1 + cross_entropy, 1), drawn(1, 1)),
        NO_JUDGE,
    )


def test_models_that_are_alike_show_no_difference():
    """Where nothing differs but luck, at most 5 of 100 experiments say so all the same."""
    random = np.random.default_rng(1)
    found = []
    for _ in range(100):
        prompts = random.normal(0, 0.2, PROMPTS)
        one, other = (values(random, 0.5, of_prompts=prompts) for _ in range(2))
        found.append(relative_change(one, other).direction)
    assert found.count("no difference") >= 95


def test_intervals_over_prompts_alone_would_call_equal_models_different():
    """Why seeds are clusters: the same experiments judged by their prompts, all seeds pooled."""
    random = np.random.default_rng(1)
    wrong = 0
    for _ in range(100):
        prompts = random.normal(0, 0.2, PROMPTS)
        one, other = (values(random, 0.5, of_prompts=prompts, over_seeds=0.02) for _ in range(2))
        apart = (one - other).ravel()
        wrong += abs(apart.mean()) > 1.96 * apart.std(ddof=1) / np.sqrt(apart.size)
    assert wrong > 50


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ((0.12, 0.20, 0.34), "main track"),
        ((0.10, 0.20, 0.20), "workshop or findings"),
        ((0.05, 0.11, 0.04), "preprint"),
        ((0.01, 0.02, 0.03), NEGATIVE),
    ],
)
def test_tree_of_the_document(gains, expected):
    random = np.random.default_rng(2)
    arms = [arm(random, f"weight {w}", w, g) for w, g in zip((0.3, 1.0, 2.0), gains, strict=True)]
    assert conclude(arms, DOCUMENT, Margins()).level == expected


def test_diversity_bought_with_nonsense_is_refused():
    """The measured ungated arm of weight 2: distinct-2 +57 %, unique valid replies 8.0 to 4.5."""
    random = np.random.default_rng(3)
    arms = [
        arm(random, "ungated 1", 1.0, 0.35, valid=-0.20, cross_entropy=0.08),
        arm(random, "ungated 2", 2.0, 0.57, valid=-0.43, cross_entropy=0.21),
    ]
    found = conclude(arms, DOCUMENT, Margins())
    assert found.level == NEGATIVE
    assert "refused for its quality" in found.why
    assert "unique valid" in found.why
    assert all(one.diversity == "yes" for one in found.asked if one.level.name != "preprint")


def test_gain_with_quality_that_is_not_shown_to_be_kept_stays_open():
    random = np.random.default_rng(4)
    wide = arm(random, "wide", 2.0, 0.60, valid=-0.02, spread=0.04)
    assert quality(wide, Margins()).kept == "open"
    assert conclude([wide], DOCUMENT, Margins()).level == OPEN


def test_refused_arm_does_not_close_the_tree_for_an_open_one():
    random = np.random.default_rng(5)
    refused = arm(random, "refused", 2.0, 0.57, valid=-0.43)
    open_one = arm(random, "open", 1.0, 0.15, spread=0.03)
    found = conclude([refused, open_one], DOCUMENT, Margins())
    assert found.level == OPEN
    assert found.why.startswith("open: ")


def test_one_seed_gives_no_verdict():
    """However clear the difference over prompts is."""
    random = np.random.default_rng(6)
    found = conclude([arm(random, "one", 2.0, 0.57, seeds=1)], DOCUMENT, Margins())
    assert found.level == NO_VERDICT
    assert "one seed" in found.why


def test_judge_takes_the_place_of_cross_entropy():
    """References are one way to say it: with a judge their likelihood is not asked."""
    random = np.random.default_rng(7)
    without = arm(random, "dear", 2.0, 0.57, cross_entropy=0.4)
    assert quality(without, Margins()).kept == "no"
    preferred = values(random, 0.02, over_seeds=0.002)
    with_judge = Arm(
        without.name,
        without.weight,
        without.diversity,
        without.unique_valid,
        without.cross_entropy,
        difference(preferred, np.zeros_like(preferred)),
    )
    assert quality(with_judge, Margins()).kept == "yes"
    assert conclude([with_judge], DOCUMENT, Margins()).level == "main track"


def test_relative_change_equals_the_bootstrap():
    """The linearised error over prompts against drawing the prompts anew."""
    random = np.random.default_rng(8)
    baseline = random.gamma(4.0, 0.1, (1, 400))
    treatment = baseline * 1.2 + random.normal(0, 0.05, (1, 400))
    found = relative_change(treatment, baseline)
    assert isinstance(found.by_seed, tuple)
    drawn = []
    for _ in range(2000):
        chosen = random.integers(0, 400, 400)
        drawn.append(treatment[0, chosen].mean() / baseline[0, chosen].mean() - 1)
    half = (found.interval.high - found.interval.low) / 2
    # The error of a standard deviation from 2,000 draws is 1.6 %.
    assert half == pytest.approx(1.96 * np.std(drawn), rel=0.06)


def test_prompts_without_a_value_are_left_out_of_both_arms_and_counted():
    random = np.random.default_rng(9)
    one, other = values(random, 0.6), values(random, 0.5)
    one[1, :7] = np.nan
    found = difference(one, other)
    assert (found.prompts, found.left_out) == (93, 7)
    again = difference(one[:, 7:], other[:, 7:])
    assert found.interval == again.interval
    assert difference(one[:, :7], other[:, :7]) == "0 of 7 prompts have a value in every model"


def test_config_refuses_an_unknown_metric():
    with pytest.raises(ValueError, match="metric: 'distinct' is not known"):
        Config(metric="distinct")
