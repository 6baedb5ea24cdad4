"""Causal attention of sequences that lie one after the other, with a backward pass of its own.

In: queries, keys and values of all tokens, not turned yet, and the layout. Out: mixed values. The
network in model.py alone calls it, for packed batches on a CPU. Sequences of about one length are
put side by side, whatever group they are of, for a handful of batched products: torch's own
attention on a CPU works through each head of each sequence by itself, which takes three times as
long for sequences of some tens of tokens. Only here are they padded.

Shapes: S models, N tokens, h heads of size e; of a block n sequences of at most t tokens behind a
common beginning, k with it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.autograd import Function

Array = np.ndarray[Any, np.dtype[Any]]


class Sequences(NamedTuple):
    """Sequences whose common beginnings are there once: any tokens that several begin with."""

    places: Array
    """(n, longest): which of the N tokens is where in a sequence; any behind its end."""
    lengths: Array
    """(n,)."""


Layout = Sequences | tuple[int, int]
"""How N tokens are sequences: so, or so many of one length one after the other."""


@lru_cache(maxsize=256)
def causal(common: int, length: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """What is added to the scores (length, common + length) of the last ``length`` places: 0, and
    minus infinity for what lies behind."""
    seen = torch.ones(length, common + length, dtype=torch.bool, device=device).tril(common)
    return torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill_(~seen, -torch.inf)


SHORTEST = 0.8
"""Shortest sequence of a block, as a share of its longest."""


class Plan(NamedTuple):
    """How attention goes through sequences."""

    blocks: list[torch.Tensor]
    """Sequences of about one length: which of the N tokens, (n, t); any behind an end."""
    slots: torch.Tensor
    """(N,): where a token first is in the blocks, one block after the other."""
    again: torch.Tensor
    """Where else in the blocks tokens of common beginnings are."""
    shared: torch.Tensor
    """Which tokens these are."""


def planned(sequences: Sequences, device: torch.device) -> Plan:
    """Put sequences of about one length into blocks."""
    order = np.argsort(-sequences.lengths, kind="stable")
    places, lengths = sequences.places[order], sequences.lengths[order]
    blocks, inside = [], []
    while len(lengths):
        longest = int(lengths[0])
        number = int((lengths >= SHORTEST * longest).sum())
        blocks.append(places[:number, :longest])
        inside.append(np.arange(longest) < lengths[:number, None])
        places, lengths = places[number:], lengths[number:]
    tokens = np.concatenate([block.ravel() for block in blocks])
    used = np.flatnonzero(np.concatenate([one.ravel() for one in inside]))
    slots = np.empty(int(tokens[used].max()) + 1, np.int64)
    # The last that is written stays: from behind, the first place of a token.
    slots[tokens[used[::-1]]] = used[::-1]
    again = used[slots[tokens[used]] != used]
    indices = (torch.from_numpy(one).to(device) for one in (slots, again, tokens[again]))
    return Plan([torch.from_numpy(block).to(device) for block in blocks], *indices)


def columns(x: torch.Tensor) -> torch.Tensor:
    """(rows, t, e) -> (rows, e, t), copied: products with a small matrix that is transposed on the
    way take three times as long."""
    return x.mT.contiguous()


def laid_out(rows: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
    """Of a block (S, n, t, 3, h, e) queries and keys, turned, and values, (3, S n h, t, e);
    ``rotation``: (t, 2, 1, e / 2)."""
    models, number, length, _, heads, size = rows.shape
    found = rows.new_empty(3, models, number, heads, length, size)
    torch.mul(
        as_complex(rows[:, :, :, :2]).permute(3, 0, 1, 4, 2, 5),
        rotation.permute(1, 2, 0, 3)[:, None, None],
        out=as_complex(found[:2]),
    )
    found[2] = rows[:, :, :, 2].transpose(2, 3)
    return found.flatten(1, 3)


def laid_back(found: torch.Tensor, rotation: torch.Tensor, rows: torch.Tensor) -> None:
    """The way back of ``laid_out``, into ``rows``, by the conjugate rotation."""
    models, number, length, _, heads, size = rows.shape
    parts = found.view(3, models, number, heads, length, size)
    torch.mul(
        as_complex(parts[:2]).permute(1, 2, 4, 0, 3, 5),
        rotation,
        out=as_complex(rows[:, :, :, :2]),
    )
    rows[:, :, :, 2] = parts[2].transpose(2, 3)


def backward_block(
    kept: torch.Tensor, weights: torch.Tensor, of_mixed: torch.Tensor
) -> torch.Tensor:
    """Gradients of turned queries and keys and of values (3, S n h, t, e) from that of the mixed
    values (S n h, t, e)."""
    queries, keys, values = kept
    found = torch.empty_like(kept)
    of_weights = torch.bmm(of_mixed, columns(values))
    of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, of_weights.dtype)
    torch.bmm(of_scores, keys, out=found[0])
    torch.bmm(of_scores.mT, queries, out=found[1])
    torch.bmm(weights.mT, of_mixed, out=found[2])
    return found


class Within(Function):  # type: ignore[misc]  # torch is not followed by mypy here
    """Scaled dot-product attention (Vaswani et al. 2017, equation 1) inside each sequence."""

    @staticmethod
    def forward(ctx: Any, joined: torch.Tensor, rotation: torch.Tensor, plan: Plan) -> torch.Tensor:
        """Queries, keys and values (S, N, 3, h, e) and unit complex numbers (longest, 1, e / 2) for
        the places of a sequence -> (S, N, h, e)."""
        precise = joined.to(torch.promote_types(joined.dtype, torch.float32))
        models, _, _, heads, size = precise.shape
        # Scores are divided by the root of e while queries are turned.
        ctx.rotation = torch.stack([rotation * size**-0.5, rotation], dim=1)
        ctx.plan, ctx.kept = plan, []
        sizes = [block.numel() for block in plan.blocks]
        found = precise.new_empty(models, sum(sizes), heads, size)
        for block, room in zip(plan.blocks, found.split(sizes, dim=1), strict=True):
            number, length = block.shape
            rows = precise.index_select(1, block.flatten()).unflatten(1, block.shape)
            kept = laid_out(rows, ctx.rotation[:length])
            scores = torch.bmm(kept[0], columns(kept[1]))
            scores.add_(causal(0, length, scores.device, scores.dtype))
            weights = scores.softmax(-1)
            mixed = torch.bmm(weights, kept[2]).view(models, number, heads, length, size)
            room.unflatten(1, block.shape).copy_(mixed.transpose(2, 3))
            ctx.kept.append((kept, weights))
        return found.index_select(1, plan.slots).to(joined.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Of queries, keys and values, turned back."""
        gradient = gradients[0].to(torch.promote_types(gradients[0].dtype, torch.float32))
        models, _, heads, size = gradient.shape
        plan = ctx.plan
        sizes = [block.numel() for block in plan.blocks]
        # Nothing comes from behind the end of a sequence, nor from a token a second time.
        spread = gradient.new_zeros(models, sum(sizes), heads, size)
        spread.index_copy_(1, plan.slots, gradient)
        found = gradient.new_empty(models, sum(sizes), 3, heads, size)
        back = ctx.rotation.conj().resolve_conj()
        parts = zip(
            plan.blocks,
            ctx.kept,
            spread.split(sizes, dim=1),
            found.split(sizes, dim=1),
            strict=True,
        )
        for block, (kept, weights), part, room in parts:
            of_mixed = part.unflatten(1, block.shape).transpose(2, 3).flatten(0, 2)
            laid_back(
                backward_block(kept, weights, of_mixed),
                back[: block.shape[1]],
                room.unflatten(1, block.shape),
            )
        joined = found.index_select(1, plan.slots)
        joined.index_add_(1, plan.shared, found.index_select(1, plan.again))
        return joined, None, None


def as_complex(x: torch.Tensor) -> torch.Tensor:
    """Neighbours of the last axis as complex numbers, in place."""
    return torch.view_as_complex(x.unflatten(-1, (-1, 2)))
