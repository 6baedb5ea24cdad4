"""How well models know the answers of the validation questions, without generating one.

A greedy answer is right exactly if every token of the right answer is the likeliest after the ones
before it, so one forward pass says what generation would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from engines.geography.data import Data
from engines.geography.step import TOKENS_AT_ONCE, token_losses
from engines.shared.geography.description import Shape
from engines.shared.geography.network.model import Parameters
from engines.shared.geography.network.packing import Array, Table, pack, sort_rows
from engines.shared.geography.vocabulary import SIZE


@dataclass(frozen=True)
class Judged:
    """What is known of each of n questions, by S models."""

    losses: Array
    """(S, n): mean negative log-likelihood of the answer's tokens with its end, nats."""
    right: Array
    """(S, n): whether the greedy answer is the right one."""

    def of_sets(self, data: Data) -> tuple[Array, Array]:
        """Means of both over the questions of each set: (S, sets)."""
        each = []
        for values in (self.losses, self.right):
            sums = [values[:, data.set_of == one].mean(axis=1) for one in range(len(data.sets))]
            each.append(np.stack(sums, axis=1))
        return each[0], each[1]


def judge(parameters: Parameters, shape: Shape, table: Table, device: torch.device) -> Judged:
    """Judge all rows of a table."""
    models = len(parameters["embedding"])
    losses, right = np.zeros((models, len(table))), np.zeros((models, len(table)), bool)
    every = sort_rows(table, np.arange(len(table))[None])[0]
    rows_at_once = max(1, TOKENS_AT_ONCE // (models * table.tokens.shape[1]))
    for start in range(0, len(every), rows_at_once):
        rows = every[start : start + rows_at_once]
        losses[:, rows], right[:, rows] = judge_rows(parameters, shape, table, rows, device)
    return Judged(losses, right)


def judge_rows(
    parameters: Parameters, shape: Shape, table: Table, rows: Array, device: torch.device
) -> tuple[Array, Array]:
    """The same of some rows (n,), sorted by kind: (S, n) each."""
    models = len(parameters["embedding"])
    batch = pack(table, rows[None], "answer", np.ones(1)).to(device)
    tokens = batch.tokens.expand(models, -1)
    targets = batch.targets.expand(models, -1)
    with torch.no_grad():
        each, chances = token_losses(parameters, shape, (tokens, targets), batch.layout)
        likeliest = chances.argmax(-1).gather(1, targets // SIZE) == targets % SIZE
    counts = (batch.weights[0] > 0).cpu().numpy()
    owners = batch.owners[counts]
    number = np.bincount(owners, minlength=len(rows))
    found = []
    for values in (each, (~likeliest).double()):
        kept = values.cpu().double().numpy()[:, counts]
        found.append(
            np.stack([np.bincount(owners, weights=one, minlength=len(rows)) for one in kept])
        )
    return found[0] / number, found[1] == 0
