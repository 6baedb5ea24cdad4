"""Questions as the batches that the network takes.

In: a table of tokens and which of its rows. Out: ``Batch``, ready for a loss. Trainings and their
validation call it. What several questions begin with is there once, and nothing is padded. On a GPU
every batch has one shape instead, padded to the longest row, so that a step can be recorded.

Which rows a batch has is not decided by their length: with batches of one length each step would
see one or two tasks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from engines.shared.geography.network.attention import Layout, Sequences
from engines.shared.geography.vocabulary import SIZE

Array = np.ndarray[Any, np.dtype[Any]]
Counted = Literal["all", "answer"]
"""Which tokens count in a loss: all but the first, or those of the answer with its end."""


@dataclass(frozen=True)
class Table:
    """n questions as tokens."""

    tokens: Array
    """(n, longest) uint8, padded on the right."""
    lengths: Array
    """(n,), ``<bos>`` and ``<eos>`` counted."""
    first_answers: Array
    """(n,): the place of the first token behind ``=``."""
    tasks: Array
    """(n,): a number of each question's task."""

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def kinds(self) -> Array:
        """(n,) int16: rows of one task and length have one number, and lengths of a task are
        neighbours."""
        longest = self.tokens.shape[1] + 1
        kinds: Array = (self.tasks.astype(np.int64) * longest + self.lengths).astype(np.int16)
        return kinds


@dataclass(frozen=True)
class Batch:
    """N tokens of questions that lie one after the other, of S models, and M tokens to predict."""

    tokens: torch.Tensor
    """(S, N) int64."""
    targets: torch.Tensor
    """(S, M) int64: places in a model's (N, vocabulary) logits, laid flat: where a token is
    predicted from, and which token it is."""
    weights: torch.Tensor
    """(S, M): the loss is the weighted sum; 0 where a token does not count."""
    owners: Array
    """(M,): which row of the batch, in the order of packing, a token belongs to."""
    layout: Layout

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return replace(
            self,
            tokens=self.tokens.to(device),
            targets=self.targets.to(device),
            weights=self.weights.to(device),
        )


def order_of(table: Table, seed: int, epoch: int) -> Array:
    """(n,): the rows in the order of one epoch.

    Uniformly random for each seed; which *kind* of row comes when is the same for all seeds, so
    that models that are trained together have batches of one layout.
    """
    kinds = np.random.default_rng([epoch, 3]).permutation(table.kinds)
    rows = np.random.default_rng([seed, epoch, 1]).permutation(len(table))
    order = np.empty(len(table), np.int64)
    # The k-th place for a kind gets the k-th row of that kind in the seed's own order.
    order[np.argsort(kinds, kind="stable")] = rows[np.argsort(table.kinds[rows], kind="stable")]
    return order


def sort_rows(table: Table, rows: Array) -> Array:
    """Rows (S, B) in an order in which neighbours begin alike; a kind has the same places in all
    models, which must have as many of each."""
    texts = np.ascontiguousarray(table.tokens[rows]).view(f"S{table.tokens.shape[1]}")[..., 0]
    # One model is free to put texts of different lengths side by side.
    keys = (texts,) if len(rows) == 1 else (texts, table.kinds[rows])
    found: Array = np.take_along_axis(rows, np.lexsort(keys, axis=1), axis=1)
    return found


def counted(table: Table, rows: Array, which: Counted) -> Array:
    """(S,): how many tokens of each model's rows count."""
    ahead = table.first_answers[rows] if which == "answer" else 1
    total: Array = (table.lengths[rows].astype(np.int64) - ahead).sum(axis=1)
    return total


def packed(table: Table, rows: Array, which: Counted, most: int) -> list[Batch]:
    """Rows (S, B) of one step as batches of about ``most`` tokens per model, whose losses add up to
    the mean over all tokens that count."""
    rows = sort_rows(table, rows)
    total = counted(table, rows, which)
    own = table.lengths[rows[0]].astype(np.int64)
    # Cut where the running sum passes a multiple: parts differ by one row at most.
    part = (np.cumsum(own) - 1) // most
    cuts = np.flatnonzero(np.diff(part)) + 1
    return [pack(table, piece, which, total) for piece in np.split(rows, cuts, axis=1)]


def pack(table: Table, rows: Array, which: Counted, total: Array) -> Batch:
    """Rows (S, B), sorted, as one batch; each token's weight is 1 / ``total`` (S,)."""
    # The last token is only predicted.
    lengths = table.lengths[rows[0]].astype(np.int64) - 1
    longest = int(lengths.max())
    texts = table.tokens[rows][:, :, : longest + 1].astype(np.int64)
    place = np.arange(longest)
    inside = place < lengths[:, None]
    # Tokens that the row before begins with too, in all models, are there once.
    alike = (texts[:, 1:, :-1] == texts[:, :-1, :-1]).all(axis=0)
    new = inside.copy()
    new[1:] &= ~np.logical_and.accumulate(alike, axis=1)
    numbers = np.where(new, np.cumsum(new).reshape(new.shape) - 1, 0)
    # Numbers grow from row to row: the largest so far is that of the latest new token.
    places = np.maximum.accumulate(numbers, axis=0)
    ahead = table.first_answers[rows] if which == "answer" else np.ones_like(rows)
    weights = (place + 1 >= ahead[:, :, None])[:, inside] / total[:, None]
    return Batch(
        torch.from_numpy(texts[:, :, :-1][:, new]),
        torch.from_numpy(places[inside] * SIZE + texts[:, :, 1:][:, inside]),
        torch.from_numpy(weights.astype(np.float32)),
        np.nonzero(inside)[0],
        Sequences(places, lengths),
    )


def padded(table: Table, rows: Array, which: Counted) -> Batch:
    """Rows (S, B) as one batch of a shape that hangs on S and B alone, for a GPU."""
    models, number = rows.shape
    whole = table.tokens[rows].astype(np.int64)
    length = whole.shape[2] - 1
    place = np.arange(1, length + 1)
    ahead = table.first_answers[rows] if which == "answer" else np.ones_like(rows)
    inside = (place >= ahead[:, :, None]) & (place < table.lengths[rows][:, :, None])
    weights = inside / counted(table, rows, which)[:, None, None]
    targets = np.arange(number * length).reshape(number, length) * SIZE + whole[:, :, 1:]
    return Batch(
        torch.from_numpy(whole[:, :, :-1].reshape(models, -1)),
        torch.from_numpy(targets.reshape(models, -1)),
        torch.from_numpy(weights.astype(np.float32).reshape(models, -1)),
        np.repeat(np.arange(number), length),
        (number, length),
    )
