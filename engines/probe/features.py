"""A frozen model's states at every transition, computed once, and what probes are asked about
them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from engines.shared.automata.batches import Store
from engines.shared.automata.data import Array, Samples
from engines.shared.automata.description import FIRST_ACTION, DataSet
from engines.shared.automata.models import Model, Parameters

AT_ONCE = 50
"""Sequences per forward pass."""


@dataclass(frozen=True)
class Features:
    """M transitions of N sequences, in order; the state is the one after reading state and
    action."""

    layers: list[torch.Tensor]
    """Embedding and each layer's output, (M, d)."""
    sequence: Array
    """Number of the sequence, (M,)."""
    position: Array
    """Number of the transition in its sequence, from 1, (M,)."""
    state: Array
    action: Array
    labels: dict[str, Array]
    """Target -> class of each transition, (M,)."""


def features(model: Model, parameters: Parameters, samples: Samples, order: Array) -> Features:
    """Run one model over the sequences of ``order`` (N, demonstrations + 1)."""
    store, layers, facts = Store(samples, torch.device("cpu")), [], []
    with torch.no_grad():
        for start in range(0, len(order), AT_ONCE):
            rows = np.arange(start, min(start + AT_ONCE, len(order)))
            batch = store.batch(
                torch.from_numpy(rows),
                torch.from_numpy(order[rows]),
                store.longest(rows, order[rows]),
            )
            outputs = model.layers(parameters, batch.inputs.unsqueeze(0))
            layers.append([output[0][batch.scored] for output in outputs])
            # At a scored position the input is the action, the one before it the state, the target
            # the next state. Position 0 is never scored, so what rolls in there does not matter.
            before = batch.inputs.roll(1, dims=1)
            number = torch.from_numpy(rows).unsqueeze(1).expand_as(batch.inputs)
            columns = (
                number,
                batch.scored.cumsum(1),
                before,
                batch.inputs - FIRST_ACTION,
                batch.targets,
            )
            facts.append(torch.stack([column[batch.scored] for column in columns]))
    sequence, position, state, action, following = torch.cat(facts, dim=1).numpy()
    labels = {
        "next_state": following,
        "current_state": state,
        "seen": seen_before(sequence, state, action),
    }
    return Features(
        [torch.cat(parts) for parts in zip(*layers, strict=True)],
        sequence,
        position,
        state,
        action,
        labels,
    )


def seen_before(sequence: Array, state: Array, action: Array) -> Array:
    """1 where the same state and action occurred earlier in the sequence, else 0."""
    pairs = np.stack([sequence, state, action], axis=1)
    seen: Array = np.ones(len(pairs), np.int64)
    # np.unique gives the first place of each triple; every later one has been seen.
    seen[np.unique(pairs, axis=0, return_index=True)[1]] = 0
    return seen


def control(found: Features, target: str, which: DataSet, random: np.random.Generator) -> Array:
    """Labels of the control task: one random function of state and action per sequence, drawn with
    the target's own frequencies."""
    labels, machines = found.labels[target], which.machines
    frequencies = np.bincount(labels) / len(labels)
    size = (int(found.sequence.max()) + 1, machines.states, machines.actions)
    # One function per sequence: drawn as a table (sequence, state, action), read at each
    # transition.
    drawn: Array = random.choice(len(frequencies), size, p=frequencies)[
        found.sequence, found.state, found.action
    ]
    return drawn
