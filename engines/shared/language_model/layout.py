"""Where the tokens of a pass lie, and which of them attention takes together.

In: sequences of token ids and the positions whose states are wanted. Out: the tokens to compute,
in rectangles for attention, and where each wanted state is found. ``packing.py`` computes what is
laid out here; ``shared_prompts.py`` lays a prompt once for all of its answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

SHORT = 256
"""Sequences up to this length may be padded to their neighbours': longer ones would pay for it in
attention, whose work grows with the square."""
PADDING = 0.25
"""Largest share of padding that a block has, of its tokens."""


@dataclass(frozen=True)
class Block:
    """Neighbouring sequences that attention takes as one rectangle.

    A call of the kernel and what surrounds it costs as much as the work on some hundred tokens of a
    small model, so sequences of nearly one length share a call. Padding is behind the tokens, where
    a causal kernel does not look, and is left out again.
    """

    count: int
    length: int
    """Of the longest."""
    tokens: int
    gather: torch.Tensor | None
    """(count, length): which of the ``tokens`` is at each place, any one where there is padding;
    None where all sequences are equally long."""
    places: torch.Tensor | None
    """(tokens,): the place of each of them in (count * length)."""

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device) -> Block:
        """Sequences of ``lengths``, padded to the longest."""
        count, length, tokens = len(lengths), max(lengths), sum(lengths)
        if count * length == tokens:
            return cls(count, length, tokens, None, None)
        sizes = torch.tensor(lengths)
        inside = torch.arange(length) < sizes[:, None]
        gather = torch.zeros(count, length, dtype=torch.long)
        gather[inside] = torch.arange(tokens)
        places = inside.flatten().nonzero()[:, 0]
        return cls(count, length, tokens, gather.to(device), places.to(device))

    def padded(self, parts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """(heads, tokens, width) each -> (count, heads, length, width)."""
        if self.gather is None:
            return [part.unflatten(1, (self.count, self.length)).transpose(0, 1) for part in parts]
        # One table for all three: a row for each token.
        heads = [len(part) for part in parts]
        table = torch.cat([part.transpose(0, 1) for part in parts], dim=1)
        # As an embedding, whose gradient is the fastest sum over rows that torch has on a CPU.
        rows = torch.nn.functional.embedding(self.gather, table.flatten(1))
        whole = rows.unflatten(2, table.shape[1:]).transpose(1, 2)
        return list(whole.split(heads, dim=1))

    def packed(self, whole: torch.Tensor) -> torch.Tensor:
        """(count, heads, length, width) -> (tokens, heads, width)."""
        rows = whole.transpose(1, 2).flatten(0, 1)
        if self.places is None:
            return rows
        return torch.nn.functional.embedding(self.places, rows.flatten(1)).view(
            self.tokens, *rows.shape[1:]
        )


def blocks_of(lengths: Sequence[int], device: torch.device) -> list[Block]:
    """Neighbours of nearly one length together, none moved."""
    found, part = [], [lengths[0]]
    for length in lengths[1:]:
        longest = max(*part, length)
        room = longest * (len(part) + 1)
        padding = room - sum(part) - length
        if padding and (longest > SHORT or padding > PADDING * room):
            found.append(Block.of(part, device))
            part = []
        part.append(length)
    return [*found, Block.of(part, device)]


@dataclass(frozen=True)
class Branches:
    """Answers as one rectangle: their own tokens are its queries, those and their prompt's its
    keys."""

    queries: Block
    keys: torch.Tensor
    """(count, K): which of all tokens each key is of; any one where there is padding."""
    mask: torch.Tensor
    """(count, 1, Q, K): whether a query sees a key; (1, 1, Q, K) where it is the same for all."""
    biases: dict[torch.dtype, torch.Tensor] = field(default_factory=dict)
    """What ``bias`` has made."""

    @property
    def tokens(self) -> int:
        """Of all answers."""
        return self.queries.tokens

    def bias(self, dtype: torch.dtype) -> torch.Tensor:
        """``mask`` as what is added to scores. Made once: of a mask of booleans the kernel would
        make and keep one for every layer."""
        if dtype not in self.biases:
            bias = torch.zeros(self.mask.shape, dtype=dtype)
            self.biases[dtype] = bias.masked_fill_(~self.mask, -torch.inf)
        return self.biases[dtype]


@dataclass(frozen=True)
class Layout:
    """T tokens as a pass computes them."""

    input_ids: torch.Tensor
    """(T,)."""
    places: torch.Tensor
    """(T,): the position of each in its sequence."""
    rows: torch.Tensor
    """(R,): which of the T has each wanted state."""
    blocks: Sequence[Block | Branches]
    """All of them, in this order."""


def plain(input_ids: torch.Tensor, lengths: Sequence[int], positions: torch.Tensor) -> Layout:
    """Sequences as they are given."""
    device = input_ids.device
    # Rotary positions begin at 0 again with each sequence.
    places = torch.cat([torch.arange(length, device=device) for length in lengths])
    return Layout(input_ids, places, positions, blocks_of(lengths, device))
