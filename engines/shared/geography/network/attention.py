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

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.autograd import Function


class Group(NamedTuple):
    """Neighbouring sequences that begin with the same tokens, which are there once: N has the
    common beginning, then what follows of each sequence."""

    common: int
    """Tokens of the common beginning; 0: none."""
    runs: tuple[tuple[int, int], ...]
    """(count, length): so many neighbours with so many tokens behind the common beginning."""


Layout = Sequence[Group]
"""How N tokens are sequences, in order."""


@lru_cache(maxsize=256)
def causal(common: int, length: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """What is added to the scores (length, common + length) of the last ``length`` places: 0, and
    minus infinity for what lies behind."""
    seen = torch.ones(length, common + length, dtype=torch.bool, device=device).tril(common)
    return torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill_(~seen, -torch.inf)


Array = np.ndarray[Any, np.dtype[Any]]
SHORTEST = 0.8
"""Shortest sequence of a block, as a share of its longest."""


class Block(NamedTuple):
    """Sequences of about one length."""

    queries: torch.Tensor
    """(n, t): which of the N tokens; any behind the end of a sequence."""
    keys: torch.Tensor
    """(n, k): the same with the common beginning."""
    mask: torch.Tensor
    """(n, 1, t, k) float32: added to the scores."""


class Plan(NamedTuple):
    """How attention goes through a layout."""

    blocks: list[Block]
    query_slots: torch.Tensor
    """(N,): where a token is among the queries of all blocks, one block after the other."""
    key_slots: torch.Tensor
    """(N,): where it is among the keys; for a common beginning in its own sequence."""
    shared_slots: torch.Tensor
    """Where else among the keys tokens of common beginnings are."""
    shared: torch.Tensor
    """Which tokens these are."""


def sequences(layout: Layout) -> Array:
    """(sequences, 4): first token of the common beginning and its length, first token behind it and
    how many follow. A common beginning is a sequence itself, without one."""
    found, place = [], 0
    for group in layout:
        start = place
        if group.common:
            found.append((start, 0, start, group.common))
        place += group.common
        for number, length in group.runs:
            for _ in range(number):
                found.append((start, group.common, place, length))
                place += length
    return np.array(found)


def planned(layout: Layout) -> Plan:
    """Put sequences of about one length into blocks."""
    every = sequences(layout)
    every = every[np.argsort(-(every[:, 1] + every[:, 3]), kind="stable")]
    tokens = int(every[:, 3].sum())
    query_slots, key_slots = np.empty(tokens, np.int64), np.empty(tokens, np.int64)
    blocks, shared_slots, shared = [], [], []
    queries_before = keys_before = 0
    while len(every):
        whole = every[:, 1] + every[:, 3]
        number = int((whole >= SHORTEST * whole[0]).sum())
        start, common, first, length = every[:number, :, None].transpose(1, 0, 2)
        every = every[number:]
        own, place = np.arange(int(length.max())), np.arange(int(whole[0]))
        queries = first + np.minimum(own, length - 1)
        behind = first + np.minimum(place - common, length - 1)
        keys = np.where(place < common, start + place, behind)
        seen = place <= (common + own)[:, :, None]
        slots = keys_before + np.arange(keys.size).reshape(keys.shape)
        inside = own < length
        query_slots[queries[inside]] = queries_before + np.flatnonzero(inside)
        is_own = (place >= common) & (place < common + length)
        key_slots[keys[is_own]] = slots[is_own]
        shared_slots.append(slots[place < common])
        shared.append(keys[place < common])
        queries_before, keys_before = queries_before + queries.size, keys_before + keys.size
        mask = np.where(seen, np.float32(0), np.float32(-np.inf))[:, None]
        blocks.append(Block(*map(torch.from_numpy, (queries, keys, mask))))
    indices = query_slots, key_slots, np.concatenate(shared_slots), np.concatenate(shared)
    return Plan(blocks, *map(torch.from_numpy, indices))


def chosen(x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """(S, N, ...) at places (n, t): (S, n, t, ...)."""
    return x.index_select(1, places.flatten()).unflatten(1, places.shape)


def rows_first(x: torch.Tensor) -> torch.Tensor:
    """(S, n, t, h, e) -> (S n h, t, e)."""
    return x.transpose(2, 3).flatten(0, 2)


def columns_first(x: torch.Tensor) -> torch.Tensor:
    """(S, n, t, h, e) -> (S n h, e, t), copied: products with a small matrix that is transposed on
    the way take three times as long."""
    return x.permute(0, 1, 3, 4, 2).flatten(0, 2)


def into(room: torch.Tensor, places: torch.Size, rows: torch.Tensor) -> None:
    """Write (S n h, t, e) into (S, n t, h, e); ``places``: (n, t)."""
    by_sequence = room.unflatten(1, places).transpose(2, 3)
    by_sequence.copy_(rows.view(by_sequence.shape))


def backward_blocks(
    plan: Plan, kept: list[tuple[torch.Tensor, ...]], gradient: torch.Tensor
) -> list[torch.Tensor]:
    """Gradients of the queries, keys and values of all blocks, one after the other (S, slots, h,
    e), from that of the mixed values of all their queries."""
    models, _, heads, size = gradient.shape
    of_queries = [block.queries.numel() for block in plan.blocks]
    of_keys = [block.keys.numel() for block in plan.blocks]
    counts = (of_queries, of_keys, of_keys)
    found = [gradient.new_empty(models, sum(sizes), heads, size) for sizes in counts]
    splits = [room.split(sizes, dim=1) for room, sizes in zip(found, counts, strict=True)]
    rooms = zip(*splits, strict=True)
    parts = zip(plan.blocks, kept, gradient.split(of_queries, dim=1), rooms, strict=True)
    for block, (queries, keys, values, weights), part, room in parts:
        of_mixed = rows_first(part.unflatten(1, block.queries.shape))
        of_weights = torch.bmm(of_mixed, columns_first(values))
        of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, of_weights.dtype)
        into(room[0], block.queries.shape, torch.bmm(of_scores, rows_first(keys)))
        into(room[1], block.keys.shape, torch.bmm(of_scores.mT, queries))
        into(room[2], block.keys.shape, torch.bmm(weights.mT, of_mixed))
    return found


class Within(Function):  # type: ignore[misc]  # torch is not followed by mypy here
    """Scaled dot-product attention (Vaswani et al. 2017, equation 1) inside each sequence."""

    @staticmethod
    def forward(ctx: Any, joined: torch.Tensor, rotation: torch.Tensor, plan: Plan) -> torch.Tensor:
        """Queries, keys and values (S, N, 3, h, e) and unit complex numbers (N, 1, e / 2) ->
        (S, N, h, e)."""
        precise = joined.to(torch.promote_types(joined.dtype, torch.float32))
        models, _, _, heads, size = precise.shape
        # Scores are divided by the root of e while queries are turned.
        ctx.rotation = torch.stack([rotation * size**-0.5, rotation], dim=1)
        # Each contiguous: choosing places copies the whole of what is not, each time.
        query, key = (
            torch.view_as_real(as_complex(precise[:, :, part]) * ctx.rotation[:, part]).flatten(-2)
            for part in (0, 1)
        )
        value = precise[:, :, 2].contiguous()
        ctx.plan, ctx.kept = plan, []
        sizes = [block.queries.numel() for block in plan.blocks]
        found = value.new_empty(models, sum(sizes), heads, size)
        for block, room in zip(plan.blocks, found.split(sizes, dim=1), strict=True):
            queries = rows_first(chosen(query, block.queries))
            keys, values = chosen(key, block.keys), chosen(value, block.keys)
            scores = torch.bmm(queries, columns_first(keys))
            scores.unflatten(0, (models, -1, heads)).add_(block.mask)
            weights = scores.softmax(-1)
            into(room, block.queries.shape, torch.bmm(weights, rows_first(values)))
            ctx.kept.append((queries, keys, values, weights))
        return found.index_select(1, plan.query_slots).to(joined.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Of queries, keys and values, turned back."""
        gradient = gradients[0].to(torch.promote_types(gradients[0].dtype, torch.float32))
        models, tokens, heads, size = gradient.shape
        plan = ctx.plan
        # Nothing comes from behind the end of a sequence.
        of_queries = sum(block.queries.numel() for block in plan.blocks)
        spread = gradient.new_zeros(models, of_queries, heads, size)
        spread.index_copy_(1, plan.query_slots, gradient)
        found = backward_blocks(plan, ctx.kept, spread)
        joined = gradient.new_empty(models, tokens, 3, heads, size)
        query = found[0].index_select(1, plan.query_slots)
        key, value = (
            every.index_select(1, plan.key_slots).index_add_(
                1, plan.shared, every.index_select(1, plan.shared_slots)
            )
            for every in found[1:]
        )
        for place, turned in enumerate((query, key)):
            back = as_complex(turned) * ctx.rotation[:, place].conj()
            joined[:, :, place] = torch.view_as_real(back).flatten(-2)
        joined[:, :, 2] = value
        return joined, None, None


def as_complex(x: torch.Tensor) -> torch.Tensor:
    """Neighbours of the last axis as complex numbers, in place."""
    return torch.view_as_complex(x.unflatten(-1, (-1, 2)))
