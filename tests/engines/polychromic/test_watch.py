"""Each red flag is raised by what it names, and by nothing else."""

from collections.abc import Mapping

import pytest

from engines.polychromic import watch
from engines.polychromic.config import Config

FINE = {
    "cross_entropy": 1.0,
    "combined": 0.8,
    "gradient_norm": 1.0,
    "gradient_norm_quality": 1.0,
    "gradient_norm_diversity": 2.0,
    "set_diversity": 0.5,
    "valid_share": 0.8,
    "sample_tokens": 10.0,
    "cut_share": 0.0,
}


def flags(first: Mapping[str, float], last: Mapping[str, float], **term: object) -> set[str]:
    """Of ten steps of one kind and ten of another."""
    values = {"model": "m", "data": "d", "diversity": {"weight": 0.5, **term}}
    history = [{**FINE, **first}] * watch.WINDOW + [{**FINE, **last}] * watch.WINDOW
    return set(watch.of_steps(Config.model_validate(values), history))


@pytest.mark.parametrize(
    ("first", "last", "raised"),
    [
        ({}, {}, set()),
        ({}, {"gradient_norm": 20.5}, {"gradient_norm_high"}),
        ({}, {"set_diversity": 0.04}, {"set_diversity_low"}),
        ({}, {"set_diversity": 0.96}, {"set_diversity_high"}),
        ({}, {"valid_share": 0.69}, {"valid_share_falling"}),
        ({}, {"valid_share": 0.71}, set()),
        ({"valid_share": 0.1}, {"valid_share": 0.04}, {"no_valid_samples"}),
        ({}, {"sample_tokens": 7.9}, {"samples_shorter"}),
        ({}, {"cut_share": 0.3}, {"samples_cut"}),
        ({}, {"gradient_norm_diversity": 21.0}, {"diversity_outweighs"}),
    ],
)
def test_a_flag_is_raised_by_what_it_names(
    first: Mapping[str, float], last: Mapping[str, float], raised: set[str]
) -> None:
    assert flags(first, last) == raised


def test_without_a_gate_few_valid_samples_still_have_a_gradient() -> None:
    low = {"valid_share": 0.04}
    assert flags(low, low, gate="none") == set()
    assert flags(low, low, gate="quality") == {"no_valid_samples"}


def test_a_window_is_full_before_it_is_judged() -> None:
    config = Config.model_validate({"model": "m", "data": "d", "diversity": {"weight": 0.5}})
    history = [{**FINE, "set_diversity": 0.0}] * (watch.WINDOW - 1)
    assert watch.of_steps(config, history) == {}
    assert set(watch.of_steps(config, [*history, history[0]])) == {"set_diversity_low"}


def test_combined_above_cross_entropy_is_a_defect() -> None:
    with pytest.raises(AssertionError, match="negative"):
        flags({}, {"combined": 1.1})


@pytest.mark.parametrize(("samples", "raised"), [(2, set()), (3, {"three_samples"}), (8, set())])
def test_three_samples_are_warned_of_where_samples_are_drawn(
    samples: int, raised: set[str]
) -> None:
    for weight, found in ((1.0, raised), (0.0, set())):
        term = {"weight": weight, "samples": samples}
        values = {"model": "m", "data": "d", "diversity": term}
        assert set(watch.of_config(Config.model_validate(values))) == found
