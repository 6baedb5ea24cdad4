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
from engines.shared.language_model.lora import adapters_merged
from engines.shared.language_model.packing import PackedModel

FULL = 0.75
"""Samples that have ended are computed on until what is left would fill at most this share of the
rows: leaving them out copies the others' keys and values."""


@dataclass(frozen=True)
class Sampling:
    """How to sample."""

    samples: int
    """Per prompt."""
    max_new_tokens: int
    end_tokens: tuple[int, ...]
    """Each of them ends a sample, and is its last token."""
    temperature: float = 1.0
    """Logits are divided by it; 0 takes the likeliest token."""
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
    with torch.no_grad(), evaluation_mode(model), adapters_merged(model):
        rows = generate(model, prompts, sampling, uniforms(sampling, seeds))
    found = [
        one_sample(ids, chances, sampling.end_tokens)
        for ids, chances in zip(rows.drawn.tolist(), rows.logprobs.tolist(), strict=True)
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


class Rows:
    """What has been drawn, and the rows that are still computed: P' prompts with n' samples each,
    of which some may have ended."""

    def __init__(self, prompts: int, numbers: torch.Tensor) -> None:
        """``numbers`` (P n, max_new_tokens): see ``uniforms``."""
        self.numbers = numbers
        self.drawn = torch.zeros(numbers.shape, dtype=torch.long, device=numbers.device)
        self.logprobs = torch.zeros(numbers.shape, dtype=torch.float32, device=numbers.device)
        self.computed = torch.arange(len(numbers), device=numbers.device).view(prompts, -1)
        self.running = torch.ones_like(self.computed, dtype=torch.bool)

    def draw(self, logits: torch.Tensor, step: int, sampling: Sampling) -> None:
        """The next token of each computed row from ``logits`` (P' n', V), with its
        log-probability."""
        rows = self.computed.flatten()
        tokens, chances = draw(logits, self.numbers[rows, step], sampling)
        self.drawn[rows, step], self.logprobs[rows, step] = tokens, chances
        ends = torch.tensor(sampling.end_tokens, device=tokens.device)
        self.running &= ~torch.isin(tokens, ends).view(self.running.shape)

    def leave_out(self, cache: SharedPrefixCache) -> bool:
        """Stop computing rows that have ended, if that makes enough of a difference; False if none
        goes on."""
        counts = self.running.sum(dim=1)
        most = int(counts.max())
        if most * int(counts.count_nonzero()) <= FULL * self.computed.numel() and most > 0:
            kept = counts.nonzero()
            # Those that go on come first; a prompt with fewer than the most takes ended ones along.
            order = self.running[kept[:, 0]].sort(dim=1, descending=True, stable=True).indices
            columns = order[:, :most]
            cache.keep(kept[:, 0], columns)
            self.computed, self.running = self.computed[kept, columns], self.running[kept, columns]
        return most > 0


def generate(
    model: PackedModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    numbers: torch.Tensor,
) -> Rows:
    """Token ids and log-probabilities of P n rows; behind a row's end token they mean nothing."""
    device = model.model.device
    lengths = [len(prompt) for prompt in prompts]
    cache = SharedPrefixCache(lengths, sampling.samples, sampling.max_new_tokens, device)
    rows = Rows(len(prompts), numbers.to(device))
    ids = torch.tensor([token for prompt in prompts for token in prompt], device=device)
    sizes = torch.tensor(lengths, device=device)
    head = model.model.get_output_embeddings()
    logits = head(model.hidden(ids, lengths, sizes.cumsum(0) - 1, cache))
    logits = logits.repeat_interleave(sampling.samples, dim=0)
    for step in range(sampling.max_new_tokens):
        rows.draw(logits, step, sampling)
        if step + 1 == sampling.max_new_tokens or not rows.leave_out(cache):
            break
        computed = rows.computed.flatten()
        places = sizes[computed // sampling.samples] + step
        logits = head(model.next_hidden(rows.drawn[computed, step], places, cache))
        cache.used += 1
    return rows


def draw(
    logits: torch.Tensor, numbers: torch.Tensor, sampling: Sampling
) -> tuple[torch.Tensor, torch.Tensor]:
    """A token per row of ``logits`` (B, V) and its log-probability, by inversion of the cumulative
    distribution at ``numbers`` (B,) in [0, 1). A greedy token's is that at temperature 1."""
    if sampling.temperature == 0:
        found = logits.float().log_softmax(-1).max(-1)
        return found.indices, found.values
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


def one_sample(ids: list[int], logprobs: list[float], end_tokens: Sequence[int]) -> Sample:
    """A row up to its end token."""
    # Behind the end, and behind the last token that was computed at all, there are zeros.
    length = next((i + 1 for i, token in enumerate(ids) if token in end_tokens), None)
    kept = slice(length)
    return Sample(tuple(ids[kept]), tuple(logprobs[kept]), length is not None)
