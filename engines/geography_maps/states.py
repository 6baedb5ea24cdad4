"""A model's states at every city: the beginning of a question is run, and the states at two tokens
are kept.

In: a model and a world. Out: one array. Called by maps.py, for the trained and the untrained
network.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from engines.shared.geography.cities.world import World
from engines.shared.geography.description import Shape
from engines.shared.geography.network.model import Parameters, hidden_states
from engines.shared.geography.questions.texts import digits_of, id_places
from engines.shared.geography.tasks import ID_DIGITS, TASKS, write_question
from engines.shared.geography.vocabulary import BEGIN, encode

Array = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 1024
"""Cities per forward pass; bounds memory, does not change results."""
POSITIONS = ("last digit", "delimiter")
"""The tokens whose states are kept."""


def places_of(task: str) -> list[int]:
    """Where the two tokens stand in a question, ``<bos>`` counted: 11 and 12 of distance."""
    behind = id_places(task, TASKS[task].fewest)[0] + ID_DIGITS
    return [behind - 1, behind]


def beginnings(task: str, ids: Array) -> Array:
    """``<bos>dist(c_0865,`` for each id: tokens (n, T)."""
    delimiter = places_of(task)[1]
    pattern = [BEGIN, *encode(write_question(task, [0] * TASKS[task].fewest))][: delimiter + 1]
    tokens = np.tile(np.array(pattern, np.int64), (len(ids), 1))
    tokens[:, delimiter - ID_DIGITS : delimiter] = digits_of(ids, ID_DIGITS)
    return tokens


def take_states(
    parameters: Parameters, shape: Shape, world: World, task: str, layers: list[int]
) -> Array:
    """States of one model (S = 1): (cities, positions, layers, width) float32."""
    tokens = torch.from_numpy(beginnings(task, world.ids))
    places, device = places_of(task), parameters["embedding"].device
    found = []
    for part in tokens.split(AT_ONCE):
        with torch.no_grad():
            outputs = hidden_states(parameters, shape, part.to(device).unsqueeze(0))
        kept = [outputs[layer][0][:, places] for layer in layers]
        found.append(torch.stack(kept, dim=2).float().cpu())
    states: Array = torch.cat(found).numpy()
    return states


def id_digits(ids: Array) -> Array:
    """The digits of each id, one column per digit and place: (n, 40). What a probe reads from them
    it reads from names, which are random."""
    digits = digits_of(ids, ID_DIGITS).astype(np.int64)
    digits -= digits_of(np.zeros(1, np.int32), 1)[0, 0]
    columns: Array = np.eye(10)[digits].reshape(len(ids), -1)
    return columns
