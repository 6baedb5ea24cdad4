"""Packing of a step's rollouts into micro-batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from engines.ppo.losses import Estimator, group_advantages
from engines.ppo.sampler import Group


@dataclass(frozen=True)
class Rollout:
    """One sample with its advantage."""

    prompt: tuple[int, ...]
    response: tuple[int, ...]
    sampler_logprobs: tuple[float, ...]
    advantage: float

    def __len__(self) -> int:
        return len(self.prompt) + len(self.response)


@dataclass(frozen=True)
class MicroBatch:
    """B sequences, padded on the right to L tokens, S of them responses at most."""

    input_ids: torch.Tensor
    """(B, L) token ids."""
    attention_mask: torch.Tensor
    """(B, L), 1 where there is a token."""
    positions: torch.Tensor
    """(B, S): index into L of the position that predicts each response token."""
    targets: torch.Tensor
    """(B, S): the response tokens."""
    mask: torch.Tensor
    """(B, S): True where there is a response token."""
    sampler_logprobs: torch.Tensor
    """(B, S), natural log."""
    advantages: torch.Tensor
    """(B,)."""


def sequences_to_train(groups: Sequence[Group], estimator: Estimator, keep_all: bool = False) -> list[Rollout]:
    """All samples whose advantage is not 0, longest first so that padding is short.

    The others have no gradient at all, unless the loss has a part that does not depend on the advantage (``keep_all``).
    """
    found = []
    for group in groups:
        advantages = group_advantages(torch.tensor(group.rewards, dtype=torch.float64), estimator).tolist()
        found += [Rollout(group.prompt, sample.token_ids, sample.logprobs, advantage)
                  for sample, advantage in zip(group.samples, advantages, strict=True) if keep_all or advantage != 0.0]
    return sorted(found, key=len, reverse=True)


def count_tokens(groups: Sequence[Group]) -> int:
    """Response tokens, those of samples without a gradient included: the denominator of the loss."""
    return sum(len(sample.token_ids) for group in groups for sample in group.samples)


def micro_batches(sequences: Sequence[Rollout], tokens: int, padding_id: int) -> Iterator[MicroBatch]:
    """Cut ``sequences`` (longest first) into batches of at most ``tokens`` tokens, padding included."""
    rest = list(sequences)
    while rest:
        rows = max(1, tokens // len(rest[0]))
        yield pad(rest[:rows], padding_id)
        rest = rest[rows:]


def empty_batch() -> MicroBatch:
    """A pass without a token that counts: zero loss, zero gradient."""
    batch = pad([Rollout((0,), (0,), (0.0,), 0.0)], 0)
    return replace(batch, mask=torch.zeros_like(batch.mask))


def pad(rows: Sequence[Rollout], padding_id: int) -> MicroBatch:
    """Pad on the right: with causal attention no token sees the padding."""
    length = max(len(row) for row in rows)
    width = max(len(row.response) for row in rows)

    def table(lines: list[list[float]] | list[list[int]], columns: int, fill: float, dtype: torch.dtype) -> torch.Tensor:
        return torch.tensor([[*line, *[fill] * (columns - len(line))] for line in lines], dtype=dtype)

    return MicroBatch(
        input_ids=table([[*row.prompt, *row.response] for row in rows], length, padding_id, torch.long),
        attention_mask=table([[1] * len(row) for row in rows], length, 0, torch.long),
        positions=table([list(range(len(row.prompt) - 1, len(row) - 1)) for row in rows], width, 0, torch.long),
        targets=table([list(row.response) for row in rows], width, 0, torch.long),
        mask=table([[1] * len(row.response) for row in rows], width, 0, torch.bool),
        sampler_logprobs=table([list(row.sampler_logprobs) for row in rows], width, 0.0, torch.float32),
        advantages=torch.tensor([row.advantage for row in rows], dtype=torch.float32),
    )
