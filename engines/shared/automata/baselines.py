"""What can be known: the exact in-context predictor, and the best that counting can do, on the very
sequences a model is judged on.

A pair (state, action) that occurred in the demonstrations or earlier in the query has a known next
state. For any other pair the posterior under the uniform prior decides: 1/S for every state, more
for staying where that state may be the absorbing one.
"""

from __future__ import annotations

import numpy as np

from engines.shared.automata.data import Array, Samples
from engines.shared.automata.description import FIRST_ACTION, MAX_STATES, DataSet


def transitions(samples: Samples, order: Array) -> tuple[Array, Array]:
    """The transitions of each sequence, demonstrations first: (N, K, 3) of state, action, next
    state, -1 where there is none.

    The second value is (N, K), True for the transitions of the query. The query's transitions all
    begin at the same column.
    """
    found = []
    for column in order.T:
        tokens = np.take_along_axis(samples.segments, column[:, None, None], axis=1)[:, 0].astype(
            np.int64
        )
        # The last segment is the query, and the orders all end with it.
        if column[0] == samples.segments.shape[1] - 1:
            tokens = tokens[:, 1:]  # the query mark
        # An odd number of tokens: s a s a ... s.
        tokens = tokens[:, : (tokens.shape[1] - 1) // 2 * 2 + 1]
        triples = np.stack(
            [tokens[:, 0:-2:2], tokens[:, 1:-1:2] - FIRST_ACTION, tokens[:, 2::2]], axis=-1
        )
        # Where the next state is the end or padding there is no transition.
        triples[triples[:, :, 2] >= MAX_STATES] = -1
        found.append(triples)
    is_query = np.concatenate(
        [np.full(part.shape[:2], index == len(found) - 1) for index, part in enumerate(found)],
        axis=1,
    )
    joined = np.concatenate(found, axis=1)
    return joined, is_query & (joined[:, :, 0] >= 0)


def exact(samples: Samples, order: Array, which: DataSet) -> Array:
    """Probability that the exact predictor is right at each query transition: (N, K), nan beyond a
    query's end."""
    steps, is_query = transitions(samples, order)
    count, states = len(samples), which.machines.states
    seen = np.zeros(samples.tables.shape, bool)
    leaves = np.zeros((count, states), bool)
    result = np.full(steps.shape[:2], np.nan)
    for k in range(steps.shape[1]):
        rows = np.flatnonzero(steps[:, k, 0] >= 0)
        state, action, following = steps[rows, k].T
        asked = is_query[rows, k]
        # Judged before it is counted as seen: the predictor must not know the answer.
        if asked.any():
            known = seen[rows, state, action]
            # Only an absorbing state is likelier to stay than 1/S.
            stay = (
                _stay(seen[rows], leaves[rows], state)
                if which.machines.absorbing
                else np.zeros(len(rows))
            )
            result[rows[asked], k] = np.where(known, 1.0, stay + (1 - stay) / states)[asked]
        seen[rows, state, action] = True
        leaves[rows, state] |= following != state
    return result[:, is_query.any(axis=0)]


def _stay(seen: Array, leaves: Array, state: Array) -> Array:
    """Posterior probability that ``state`` is absorbing: proportional to S^(distinct actions seen)
    where all of them stayed."""
    # An absorbing state stays under every action, any other with probability 1/S for each: Bayes'
    # factor for "absorbing" is S for each distinct action seen, and 0 once it was left.
    weight: Array = np.where(leaves, 0.0, float(seen.shape[1]) ** seen.sum(axis=2))
    weight /= weight.sum(axis=1, keepdims=True)
    return np.take_along_axis(weight, state[:, None], axis=1)[:, 0]


def counting(samples: Samples, order: Array, states: int, by: str) -> Array:
    """Whether the most frequent next state so far is right at each query transition: (N, K), nan
    beyond a query's end.

    ``by``: ``state`` counts after the same state, ``action`` after the same action, ``nothing``
    all. Of equals the lowest state. A model that scores as much as one of these has learned to
    count, not to look up.
    """
    steps, is_query = transitions(samples, order)
    rows_of_counts = {"state": states, "action": samples.tables.shape[2], "nothing": 1}[by]
    counts = np.zeros((len(samples), rows_of_counts, states), np.int64)
    result = np.full(steps.shape[:2], np.nan)
    for k in range(steps.shape[1]):
        rows = np.flatnonzero(steps[:, k, 0] >= 0)
        state, action, following = steps[rows, k].T
        group = {"state": state, "action": action, "nothing": np.zeros_like(state)}[by]
        asked = is_query[rows, k]
        result[rows[asked], k] = (counts[rows, group].argmax(axis=1) == following)[asked]
        counts[rows, group, following] += 1
    return result[:, is_query.any(axis=0)]
