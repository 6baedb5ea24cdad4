"""Samples of a causal language model in torch, with the log-probabilities of their tokens under the
distribution that they were drawn from.

In: a ``PackedModel``, prompts of token ids, a seed per prompt. Out: samples per prompt. Called by
fine-tunings that score what they sample: the model's weights are used as they are, no second engine
has a copy. Every sample has random numbers of its own, so torch's own generator is not touched, and
a sample does not depend on what else is sampled with it (but for rounding).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from engines.shared.inference import sample_seed
from engines.shared.language_model.key_value_cache import SharedPrefixCache
from engines.shared.language_model.packing import PackedModel


@dataclass(frozen=True)
class Sampling:
    """How to sample."""

    samples: int
    """Per prompt."""
    max_new_tokens: int
    end_token: int
    """Ends a sample, and is its last token."""
    temperature: float = 1.0
    """Logits are divided by it; above 0."""
    top_p: float = 1.0
    """Tokens are drawn from the likeliest ones that hold this share of the probability."""


@dataclass(frozen=True)
class Sample:
    """One continuation of a prompt."""

    token_ids: tuple[int, ...]
    """The end token included if it came."""
    logprobs: tuple[float, ...]
    """Natural log-probability of each token under the distribution that it was drawn from."""
    complete: bool
    """Whether it ended by the end token, and not by ``max_new_tokens``."""


def sample(
    model: PackedModel, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
) -> list[list[Sample]]:
    """Samples of each of ``prompts``, drawn in evaluation mode without gradient; sample k of a
    prompt depends on the prompt's seed and on k."""
    with torch.no_grad(), evaluation_mode(model):
        drawn, logprobs = generate(model, prompts, sampling, uniforms(sampling, seeds))
    found = [
        one_sample(ids, chances, sampling.end_token)
        for ids, chances in zip(drawn.tolist(), logprobs.tolist(), strict=True)
    ]
    count = sampling.samples
    return [found[i : i + count] for i in range(0, len(found), count)]


@contextlib.contextmanager
def evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """Without dropout; afterwards as before."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def uniforms(sampling: Sampling, seeds: Sequence[int]) -> torch.Tensor:
    """One random number in [0, 1) per token: (P n, max_new_tokens), float64."""
    generator = torch.Generator()
    rows = torch.empty(len(seeds) * sampling.samples, sampling.max_new_tokens, dtype=torch.float64)
    places = [(seed, k) for seed in seeds for k in range(sampling.samples)]
    for row, (seed, k) in zip(rows, places, strict=True):
        row.uniform_(generator=generator.manual_seed(sample_seed(seed, k)))
    return rows


def generate(
    model: PackedModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    numbers: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and log-probabilities, (P n, tokens of the longest sample) each; behind a sample's
    end token they mean nothing."""
    device = model.model.device
    lengths = [len(prompt) for prompt in prompts]
    cache = SharedPrefixCache(lengths, sampling.samples, sampling.max_new_tokens, device)
    ids = torch.tensor([token for prompt in prompts for token in prompt], device=device)
    ends = torch.tensor(lengths, device=device).cumsum(0) - 1
    hidden = model.hidden(ids, lengths, ends, cache)
    head = model.model.get_output_embeddings()
    logits = head(hidden).repeat_interleave(sampling.samples, dim=0)
    places = torch.tensor(lengths, device=device).repeat_interleave(sampling.samples)
    numbers = numbers.to(device)
    drawn = torch.empty(numbers.shape, dtype=torch.long, device=device)
    logprobs = torch.empty(numbers.shape, dtype=torch.float32, device=device)
    running = torch.ones(len(numbers), dtype=torch.bool, device=device)
    for step in range(sampling.max_new_tokens):
        tokens, chances = draw(logits, numbers[:, step], sampling)
        drawn[:, step], logprobs[:, step] = tokens, chances
        running &= tokens != sampling.end_token
        if step + 1 == sampling.max_new_tokens or not bool(running.any()):
            break
        logits = head(model.next_hidden(tokens, places + step, cache))
        cache.used += 1
    return drawn[:, : step + 1], logprobs[:, : step + 1]


def draw(
    logits: torch.Tensor, numbers: torch.Tensor, sampling: Sampling
) -> tuple[torch.Tensor, torch.Tensor]:
    """A token per row of ``logits`` (B, V) and its log-probability, by inversion of the cumulative
    distribution at ``numbers`` (B,) in [0, 1)."""
    scores = (logits.float() / sampling.temperature).log_softmax(-1)
    if sampling.top_p < 1:
        scores = nucleus(scores, sampling.top_p)
    # float64: in float32 the sum over 150,000 tokens would be off by more than a rare one's share.
    cumulative = scores.exp().cumsum(-1, dtype=torch.float64)
    aims = numbers[:, None] * cumulative[:, -1:]
    # The first whose sum is above the number: never one of probability 0.
    tokens = torch.searchsorted(cumulative, aims, right=True).clamp_(max=scores.shape[1] - 1)
    return tokens[:, 0], scores.gather(-1, tokens)[:, 0]


def nucleus(scores: torch.Tensor, top_p: float) -> torch.Tensor:
    """Log-probabilities of the likeliest tokens that hold at least ``top_p`` together (Holtzman et
    al. 2020, arXiv 1904.09751), minus infinity for the others; each row sums to 1 again."""
    ordered, order = scores.sort(dim=-1, descending=True)
    chances = ordered.exp()
    # What comes before a token: the one that crosses top_p still belongs to them.
    outside = chances.cumsum(-1) - chances >= top_p
    # The likeliest one stays, whatever rounding does.
    outside[:, 0] = False
    kept = scores.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), -torch.inf)
    return kept.log_softmax(-1)


def one_sample(ids: list[int], logprobs: list[float], end_token: int) -> Sample:
    """A row up to its end token."""
    complete = end_token in ids
    length = ids.index(end_token) + 1 if complete else len(ids)
    return Sample(tuple(ids[:length]), tuple(logprobs[:length]), complete)
