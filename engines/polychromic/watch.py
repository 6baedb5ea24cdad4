"""Red flags of a training, as sentences that begin with their name.

In: the lines of progress so far. Out: what is wrong, each thing once. A flag ends nothing: it is
printed when it is raised, and stands in the facts of the results. The document's own flags are
among them; "combined above quality" cannot happen here and is an assertion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from engines.polychromic.config import Config

WINDOW = 10
"""Sampled steps whose mean is looked at, the first so many and the newest."""
HIGHEST_NORM = 20.0
"""Of a gradient before clipping."""
LOWEST_DIVERSITY, HIGHEST_DIVERSITY = 0.05, 0.95
VALID_FALL = 0.1
"""Share of valid samples that may be lost."""
SHORTER = 0.8
"""Mean length over that of the first samples."""
MOST_CUT = 0.25
LEAST_VALID = 0.05

Metrics = Mapping[str, float]


def of_config(config: Config) -> dict[str, str]:
    """What is wrong before the first step."""
    term = config.diversity
    if term.sampled and term.samples == 3:
        return {
            "three_samples": "samples is 3, the number with the most variance per sample: the "
            "baseline of each sample is a single pair; 8 has a quarter of it"
        }
    return {}


def of_steps(config: Config, history: Sequence[Metrics]) -> dict[str, str]:
    """What the newest step shows; ``history`` is every step's metrics up to it."""
    if not history:
        return {}
    newest = history[-1]
    found = {}
    if newest["gradient_norm"] > HIGHEST_NORM:
        found["gradient_norm_high"] = (
            f"the norm of the gradient is {newest['gradient_norm']:.3g} before clipping, above "
            f"{HIGHEST_NORM:g}: lower learning_rate or diversity.weight"
        )
    if "set_diversity" not in newest:
        return found
    assert newest["combined"] <= newest["cross_entropy"] + 1e-9, "the diversity is negative"
    drawn = [line for line in history if "set_diversity" in line]
    if len(drawn) >= WINDOW:
        found |= of_window(config, drawn[:WINDOW], drawn[-WINDOW:])
    return found


def of_window(config: Config, first: Sequence[Metrics], last: Sequence[Metrics]) -> dict[str, str]:
    """What the means over the newest sampled steps show, against those of the first ones."""
    found = {}
    diversity = mean(last, "set_diversity")
    if diversity < LOWEST_DIVERSITY:
        found["set_diversity_low"] = (
            f"the set diversity is {diversity:.3f}: samples of a prompt are all alike or none is "
            "valid, so the term has next to no gradient"
        )
    if diversity > HIGHEST_DIVERSITY:
        found["set_diversity_high"] = (
            f"the set diversity is {diversity:.3f}: samples have next to nothing in common, look "
            "at the valid share"
        )
    valid = mean(first, "valid_share"), mean(last, "valid_share")
    if valid[1] < valid[0] - VALID_FALL:
        found["valid_share_falling"] = (
            f"the share of valid samples fell from {valid[0]:.2f} to {valid[1]:.2f}: diversity is "
            "bought with nonsense; lower diversity.weight, or set gate: quality"
        )
    if valid[1] < LEAST_VALID and config.diversity.gate == "quality":
        found["no_valid_samples"] = (
            f"the checker takes {valid[1]:.2f} of the samples, and the gate lets no others count"
        )
    lengths = mean(first, "sample_tokens"), mean(last, "sample_tokens")
    if lengths[1] < SHORTER * lengths[0]:
        found["samples_shorter"] = (
            f"samples shrank from {lengths[0]:.1f} to {lengths[1]:.1f} tokens: short texts look "
            "diverse"
        )
    return found | of_gradient(config, last)


def of_gradient(config: Config, last: Sequence[Metrics]) -> dict[str, str]:
    """What cuts of samples and the lengths of the gradients show."""
    found = {}
    cut = mean(last, "cut_share")
    if cut > MOST_CUT:
        found["samples_cut"] = (
            f"{cut:.2f} of the samples reach max_new_tokens ({config.diversity.max_new_tokens}) "
            "without an end: raise it"
        )
    norms = mean(last, "gradient_norm_quality"), mean(last, "gradient_norm_diversity")
    weighted = config.diversity.weight * norms[1]
    if weighted > norms[0]:
        found["diversity_outweighs"] = (
            f"the weighted gradient of diversity is longer ({weighted:.3g}) than that of "
            f"cross-entropy ({norms[0]:.3g}), and clipping takes from both"
        )
    return found


def mean(lines: Sequence[Metrics], name: str) -> float:
    """Of one metric."""
    return fmean(line[name] for line in lines)
