"""Questions as the batches that the network takes.

In: a table of tokens and which of its rows. Out: ``Batch``, ready for a loss. Trainings and their
validation call it. Rows of one kind (task and length) lie together; what all questions of a task
begin with is there once, and nothing is padded. On a GPU every batch has one shape instead, padded
to the longest row, so that a step can be recorded.

Which rows a batch has is not decided by their length: with batches of one length each step would
see one or two tasks.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from engines.shared.geography.network.attention import Group, Layout
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

    @cached_property
    def common(self) -> dict[int, int]:
        """Task -> with how many tokens all of its rows begin; never the last two of a row."""
        found = {}
        for task in np.unique(self.tasks).tolist():
            rows = self.tasks == task
            block = self.tokens[rows]
            alike = (block == block[0]).all(axis=0)
            first_unlike = int(np.argmin(alike)) if not alike.all() else len(alike)
            found[task] = min(first_unlike, int(self.lengths[rows].min()) - 2)
        return found


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
    """Rows (S, B) with those of one kind side by side. All models must have as many of each."""
    order = np.argsort(table.kinds[rows], axis=1, kind="stable")
    found: Array = np.take_along_axis(rows, order, axis=1)
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


class _Pieces:
    """What a batch is put together from."""

    def __init__(self, models: int, vocabulary: int) -> None:
        self.models, self.vocabulary, self.filled = models, vocabulary, 0
        self.tokens: list[Array] = []
        self.targets: list[Array] = []
        self.weights: list[Array] = []
        self.owners: list[Array] = []

    def add_tokens(self, tokens: Array) -> int:
        """Lay (S, k) tokens behind the others; the place of the first."""
        start = self.filled
        self.tokens.append(tokens)
        self.filled += tokens.shape[1]
        return start

    def add_targets(self, places: Array, targets: Array, weights: Array, owners: Array) -> None:
        """Tokens (S, b, k) that are predicted from places (b, k), of rows ``owners`` (b,)."""
        flat = places.astype(np.int64) * self.vocabulary + targets
        self.targets.append(flat.reshape(self.models, -1))
        self.weights.append(weights.reshape(self.models, -1))
        self.owners.append(np.repeat(owners, places.shape[1]))


def pack(table: Table, rows: Array, which: Counted, total: Array) -> Batch:
    """Rows (S, B), sorted by kind, as one batch; each token's weight is 1 / ``total`` (S,)."""
    pieces, layout = _Pieces(len(rows), SIZE), []
    places = range(rows.shape[1])
    of_task, of_length = table.tasks[rows[0]], table.lengths[rows[0]]
    for task, group in itertools.groupby(places, key=lambda place: int(of_task[place])):
        members = list(group)
        common = table.common[task]
        start = pieces.add_tokens(table.tokens[rows[:, members[0]], :common])
        runs = []
        for length, run in itertools.groupby(members, key=lambda place: int(of_length[place])):
            chosen = list(run)
            add_run(pieces, table, rows[:, chosen], np.array(chosen), (start, common, which))
            runs.append((len(chosen), length - 1 - common))
        layout.append(Group(common, tuple(runs)))
    weights = np.concatenate(pieces.weights, axis=1) / total[:, None]
    return Batch(
        torch.from_numpy(np.concatenate(pieces.tokens, axis=1).astype(np.int64)),
        torch.from_numpy(np.concatenate(pieces.targets, axis=1)),
        torch.from_numpy(weights.astype(np.float32)),
        np.concatenate(pieces.owners),
        tuple(layout),
    )


def add_run(
    pieces: _Pieces,
    table: Table,
    rows: Array,
    owners: Array,
    how: tuple[int, int, Counted],
) -> None:
    """Add rows (S, b) of one task and length; ``how``: where their common beginning lies, how long
    it is, and which tokens count."""
    start, common, which = how
    whole = table.tokens[rows]
    length = int(table.lengths[rows[0, 0]])
    models, number = rows.shape
    own = whole[:, :, common : length - 1]
    first = pieces.add_tokens(own.reshape(models, -1))
    # The token at place t is predicted from t - 1, which lies in the common beginning or behind.
    before = np.arange(length - 1)
    behind = first + np.arange(number)[:, None] * own.shape[2] + (before - common)
    places = np.where(before < common, start + before, behind)
    ahead = table.first_answers[rows] if which == "answer" else np.ones_like(rows)
    weights = before + 1 >= ahead[:, :, None]
    pieces.add_targets(places, whole[:, :, 1:length], weights, owners)


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
        (Group(0, ((number, length),)),),
    )
