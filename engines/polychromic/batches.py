"""Rows as token ids, the order in which a training sees them, and micro-batches without padding.

In: the replies of a split and the tokenizer. Out: for every step its rows, and any sequences packed
one after the other. The order hangs on seed and epoch alone, so a continued training draws it
again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from engines.contract.config import ConfigError
from engines.polychromic.config import Config
from engines.shared.inference import sample_seed
from engines.shared.replies.description import Template
from engines.shared.replies.prompts import prompt_token_ids, reply_token_ids
from engines.shared.replies.rows import Reply

Turn = tuple[tuple[int, ...], tuple[int, ...]]
"""Token ids of a prompt and of a reply to it."""


@dataclass(frozen=True)
class Encoded:
    """The rows of a split that are short enough."""

    replies: list[Reply]
    sequences: list[Turn]
    """Of each reply."""
    left_out: int
    """Rows that are longer than ``max_tokens``."""

    @property
    def reply_tokens(self) -> int:
        """Tokens of all replies, their ends included."""
        return sum(len(reply) for _, reply in self.sequences)


def encode(
    replies: Sequence[Reply], tokenizer: Any, template: Template, max_tokens: int, split: str
) -> Encoded:
    """Rows as token ids; ConfigError if none is short enough."""
    kept, sequences = [], []
    for reply in replies:
        prompt = tuple(prompt_token_ids(tokenizer, reply.prompt, template))
        answer = tuple(reply_token_ids(tokenizer, reply.reply))
        if len(prompt) + len(answer) <= max_tokens:
            kept.append(reply)
            sequences.append((prompt, answer))
    if not kept:
        raise ConfigError(
            f"data: none of the {len(replies)} {split} rows has at most max_tokens ({max_tokens}) "
            "tokens; raise max_tokens"
        )
    return Encoded(kept, sequences, len(replies) - len(kept))


def rows_of_step(config: Config, rows: int, step: int) -> list[int]:
    """Which of so many rows optimiser step ``step`` (from 0) takes."""
    an_epoch, _ = config.steps_of(rows)
    epoch, place = divmod(step, an_epoch)
    draw = np.random.default_rng(sample_seed(config.seed, "order", epoch))
    start = place * config.batch_size
    found: list[int] = draw.permutation(rows)[start : start + config.batch_size].tolist()
    return found


@dataclass(frozen=True)
class Packed:
    """T tokens of whole sequences one after the other; R of them are replies."""

    input_ids: torch.Tensor
    """(T,)."""
    lengths: tuple[int, ...]
    """Tokens of each sequence; they add up to T."""
    positions: torch.Tensor
    """(R,): index into T of the token that predicts each reply token."""
    targets: torch.Tensor
    """(R,): the reply tokens."""
    owners: torch.Tensor
    """(R,): which of the packed sequences each reply token is of."""
    places: list[int]
    """Which of the given sequences each packed one is."""


def micro_batches(
    sequences: Sequence[Turn], tokens: int, device: torch.device, shared: bool = False
) -> Iterator[Packed]:
    """Pack sequences, longest first, into batches of at most ``tokens`` tokens; a longer one is a
    batch of its own. With ``shared`` those of one prompt lie together, and tokens count as a pass
    that computes a prompt once has them."""
    part: list[int] = []
    held = 0
    for place in in_order(sequences, shared):
        prompt, reply = sequences[place]
        alone = len(prompt) + len(reply)
        again = shared and part and sequences[part[-1]][0] == prompt
        own = len(reply) if again else alone
        if part and held + own > tokens:
            yield pack(sequences, part, device)
            part, held, own = [], 0, alone
        part.append(place)
        held += own
    if part:
        yield pack(sequences, part, device)


def in_order(sequences: Sequence[Turn], shared: bool) -> list[int]:
    """Places of the sequences, longest first; with ``shared``, prompt by prompt."""
    # Those of one length lie together: each run of them is one call of the attention kernel.
    ordered = sorted(range(len(sequences)), key=lambda place: -length(sequences[place]))
    groups: dict[tuple[int, ...], list[int]] = {}
    for place in ordered:
        groups.setdefault(sequences[place][0], []).append(place)
    return [place for group in groups.values() for place in group] if shared else ordered


def length(sequence: Turn) -> int:
    """Tokens of prompt and reply."""
    return len(sequence[0]) + len(sequence[1])


def pack(sequences: Sequence[Turn], places: list[int], device: torch.device) -> Packed:
    """Lay the sequences at ``places`` one after the other."""
    rows = [sequences[place] for place in places]
    lengths = tuple(map(length, rows))
    ids: list[int] = []
    positions: list[int] = []
    owners: list[int] = []
    for owner, (prompt, reply) in enumerate(rows):
        ids += prompt
        ids += reply
        # The logits at a position predict the token after it: those of the prompt's last token the
        # first of the reply.
        positions += range(len(ids) - len(reply) - 1, len(ids) - 1)
        owners += [owner] * len(reply)
    targets = list(itertools.chain.from_iterable(reply for _, reply in rows))
    return Packed(
        torch.tensor(ids, device=device),
        lengths,
        torch.tensor(positions, device=device),
        torch.tensor(targets, device=device),
        torch.tensor(owners, device=device),
        places,
    )
