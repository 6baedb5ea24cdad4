"""Packing of a step's rollouts into micro-batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from engines.ppo.data.task_sampler import Group
from engines.ppo.update.losses import Estimator, group_advantages


@dataclass(frozen=True)
class Rollout:
    """One sample with the advantages of its tokens."""

    prompt: tuple[int, ...]
    response: tuple[int, ...]
    sampler_logprobs: tuple[float, ...]
    advantages: tuple[float, ...]
    """Of each response token."""
    reward: float
    returns: tuple[float, ...] = ()
    """What the critic should have said before each response token; empty without a critic."""

    def __len__(self) -> int:
        return len(self.prompt) + len(self.response)


@dataclass(frozen=True)
class MicroBatch:
    """T tokens of whole sequences one after the other, without padding; R of the tokens are
    responses."""

    input_ids: torch.Tensor
    """(T,) token ids."""
    lengths: tuple[int, ...]
    """Tokens of each sequence; they add up to T."""
    positions: torch.Tensor
    """(R,): index into T of the token that predicts each response token."""
    targets: torch.Tensor
    """(R,): the response tokens."""
    mask: torch.Tensor
    """(R,): True where the response token counts."""
    sampler_logprobs: torch.Tensor
    """(R,), natural log."""
    advantages: torch.Tensor
    """(R,)."""
    returns: torch.Tensor
    """(R,); (0,) without a critic."""

    def to(self, device: torch.device) -> MicroBatch:
        """The same on ``device``."""
        return MicroBatch(
            **{
                name: value if isinstance(value, tuple) else value.to(device)
                for name, value in vars(self).items()
            }
        )


def sequences_to_train(
    groups: Sequence[Group], estimator: Estimator, keep_all: bool = False, shared: bool = False
) -> list[Rollout]:
    """All samples whose advantage is not 0, ``in_order``.

    The others have no gradient at all, unless the loss has a part that does not depend on the
    advantage (``keep_all``). With ``gae`` all are kept, and the advantages are the critic's to fill
    in.
    """
    found = []
    for group in groups:
        if estimator == "gae":
            advantages = [0.0] * len(group.samples)
        else:
            advantages = group_advantages(
                torch.tensor(group.rewards, dtype=torch.float64), estimator
            ).tolist()
        found += [
            Rollout(
                group.prompt,
                sample.token_ids,
                sample.logprobs,
                (advantage,) * len(sample.token_ids),
                reward,
            )
            for sample, advantage, reward in zip(
                group.samples, advantages, group.rewards, strict=True
            )
            if keep_all or estimator == "gae" or advantage != 0.0
        ]
    return in_order(found, shared)


def count_tokens(groups: Sequence[Group]) -> int:
    """Response tokens, those of samples without a gradient included: the denominator of the
    loss."""
    return sum(len(sample.token_ids) for group in groups for sample in group.samples)


def in_order(rows: Sequence[Rollout], shared: bool) -> list[Rollout]:
    """Longest first, so that those of one length lie together; with ``shared``, prompt by prompt,
    the one with the longest sequence first, so that micro-batches hold whole groups."""
    ordered = sorted(rows, key=len, reverse=True)
    groups: dict[tuple[int, ...], list[Rollout]] = {}
    for row in ordered:
        groups.setdefault(row.prompt, []).append(row)
    return [row for group in groups.values() for row in group] if shared else ordered


def micro_batches(
    sequences: Sequence[Rollout], tokens: int, shared: bool = False
) -> Iterator[MicroBatch]:
    """Cut ``sequences``, in their order, into batches of at most ``tokens`` tokens; a longer
    sequence is a batch of its own. With ``shared`` tokens count as a pass that computes a prompt
    once has them, and what is cut off from a group has the prompt again."""
    part: list[Rollout] = []
    held = 0
    for row in sequences:
        alone = len(row)
        again = shared and part and part[-1].prompt == row.prompt
        own = len(row.response) if again else alone
        if part and held + own > tokens:
            yield pack(part)
            part, held, own = [], 0, alone
        part.append(row)
        held += own
    if part:
        yield pack(part)


def empty_batch() -> MicroBatch:
    """A pass without a token that counts: zero loss, zero gradient."""
    # One prompt token and one response token, which the mask takes out.
    batch = pack([Rollout((0,), (0,), (0.0,), (0.0,), 0.0, (0.0,))])
    return replace(batch, mask=torch.zeros_like(batch.mask))


def pack(rows: Sequence[Rollout]) -> MicroBatch:
    """Lay sequences one after the other."""
    ends = list(itertools.accumulate(map(len, rows)))
    targets = [token for row in rows for token in row.response]
    return MicroBatch(
        input_ids=torch.tensor([token for row in rows for token in (*row.prompt, *row.response)]),
        lengths=tuple(map(len, rows)),
        positions=torch.cat(
            [
                # The logits at a position predict the token after it, hence - 1. The first response
                # token is predicted by the last token of the prompt.
                torch.arange(end - len(row.response), end) - 1
                for row, end in zip(rows, ends, strict=True)
            ]
        ),
        targets=torch.tensor(targets),
        mask=torch.ones(len(targets), dtype=torch.bool),
        sampler_logprobs=torch.tensor(
            [value for row in rows for value in row.sampler_logprobs], dtype=torch.float32
        ),
        advantages=torch.tensor(
            [value for row in rows for value in row.advantages], dtype=torch.float32
        ),
        returns=torch.tensor([value for row in rows for value in row.returns], dtype=torch.float32),
    )
