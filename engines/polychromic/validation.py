"""How well a model stands on the validation rows: cross-entropy alone, and samples if asked for.

No part of the diversity term enters the loss that checkpoints are ranked by, and that loss needs no
sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from engines.polychromic.batches import Encoded, Turn, micro_batches
from engines.polychromic.config import Config, EarlyStopping
from engines.polychromic.model import Model
from engines.polychromic.sampling import Sampler
from engines.polychromic.step import token_terms

SAMPLED_AT_ONCE = 16
"""Prompts that are sampled from together; bounds the key-value cache."""


@dataclass(frozen=True)
class Evaluation:
    """One look at the validation rows."""

    step: int
    cross_entropy: float
    """Mean over all reply tokens, nats."""
    unique_valid: float | None = None
    """Different valid samples of n, mean over prompts; None where nothing is sampled."""


def cross_entropy(model: Model, rows: Encoded, tokens: int) -> float:
    """Mean over all reply tokens of ``rows``, nats, in evaluation mode; ``tokens`` go through the
    model at once."""
    model.training(False)
    total = 0.0
    with torch.no_grad(), model.passes():
        shared = model.shares(rows.sequences)
        for batch in micro_batches(rows.sequences, tokens, model.device, shared):
            logprobs, _ = token_terms(model, batch, None, 0.0)
            total -= float(logprobs.double().sum())
    return total / rows.reply_tokens


def probe(model: Model, turn: Turn) -> dict[str, Any]:
    """Token ids of a row, and the log-probability of each but the first, which whoever loads the
    checkpoint must reproduce."""
    token_ids = [*turn[0], *turn[1]]
    ids = torch.tensor(token_ids, device=model.device)
    places = torch.arange(len(ids) - 1, device=model.device)
    model.training(False)
    with torch.no_grad(), model.passes():
        logprobs = model.scorer(ids, (len(ids),), places, ids[1:], 1.0)
    return {"token_ids": token_ids, "logprobs": logprobs.tolist()}


def sampled(sampler: Sampler, rows: Encoded, prompts: int) -> dict[str, float]:
    """Samples to the first ``prompts`` of ``rows``; the same random numbers at every call, so that
    only the model changes between two."""
    sums: dict[str, float] = {}
    count = min(prompts, len(rows.replies))
    for start in range(0, count, SAMPLED_AT_ONCE):
        part = slice(start, min(start + SAMPLED_AT_ONCE, count))
        found = sampler.draw(
            rows.replies[part], rows.sequences[part], "validation", start // SAMPLED_AT_ONCE
        )
        seen = {**found.seen(), "unique_valid": found.unique_valid()}
        for name, value in seen.items():
            sums[name] = sums.get(name, 0.0) + value * len(found.texts)
    return {name: value / count for name, value in sums.items()}


def evaluate(
    config: Config, model: Model, sampler: Sampler | None, rows: Encoded, step: int
) -> tuple[Evaluation, dict[str, float]]:
    """The evaluation after ``step`` steps, and its line of progress."""
    loss = cross_entropy(model, rows, config.micro_batch_tokens)
    metrics = {"validation_cross_entropy": loss}
    if sampler is not None and config.unique_valid_prompts is not None:
        metrics |= sampled(sampler, rows, config.unique_valid_prompts)
    return Evaluation(step, loss, metrics.get("unique_valid")), metrics


def should_stop(rule: EarlyStopping | None, evaluations: list[Evaluation]) -> bool:
    """Whether the last ``patience`` evaluations all failed to get below the lowest before them by
    more than ``min_delta``; the one before training is the first lowest."""
    if rule is None:
        return False
    lowest, bad = evaluations[0].cross_entropy, 0
    for one in evaluations[1:]:
        # `lowest` does not move for a gain below min_delta, so that several small gains add up.
        if one.cross_entropy < lowest - rule.min_delta:
            lowest, bad = one.cross_entropy, 0
        else:
            bad += 1
    return bad >= rule.patience
