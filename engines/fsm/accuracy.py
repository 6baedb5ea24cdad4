"""How right models are at each next state of the query, sequence by sequence."""

from __future__ import annotations

import numpy as np
import torch

from engines.shared.automata.batches import Store
from engines.shared.automata.data import Array
from engines.shared.automata.models import Model, Parameters

JUDGED_AT_ONCE = 200
"""Sequences per forward pass; bounds memory, does not change results."""


def judge(model: Model, parameters: Parameters, store: Store, order: Array) -> Array:
    """(S, N, K): 1 right, 0 wrong, nan beyond a query's end. Waits for the device once, at the
    end."""
    models = len(next(iter(parameters.values())))
    # A query holds "<query> s a s a ... s <end>": two tokens for each transition.
    width = (store.segments.shape[-1] - 1) // 2
    orders, pieces = torch.from_numpy(order).to(store.device), []
    with torch.no_grad():
        for start in range(0, len(order), JUDGED_AT_ONCE):
            rows = np.arange(start, min(start + JUDGED_AT_ONCE, len(order)))
            batch = store.batch(
                torch.from_numpy(rows).to(store.device),
                orders[start : start + len(rows)],
                store.longest(rows, order[rows]),
            )
            logits = model.logits(parameters, batch.inputs.expand(models, *batch.inputs.shape))
            right = (logits.argmax(-1) == batch.targets).float()
            # The k-th next state of a query goes to column k. Everything else goes to one more
            # column, which is cut off: a boolean mask would have to ask the device how many there
            # are.
            column = torch.where(batch.query, batch.query.cumsum(-1) - 1, width)
            table = torch.full((models, len(rows), width + 1), torch.nan, device=store.device)
            pieces.append(table.scatter_(2, column.expand_as(right), right)[:, :, :width])
        found: Array = torch.cat(pieces, dim=1).cpu().numpy()
    # The longest query that there is; the table had room for the longest that there could be.
    return found[:, :, : int((~np.isnan(found[0])).sum(1).max())]
