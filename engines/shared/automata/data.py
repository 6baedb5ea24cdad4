"""Random machines and their walks, made from parameters and a seed, and the cache that holds them.

The transition table is uniform: every entry is an independent uniform state. Under this prior the
predictor of ``ceiling`` is exactly Bayes' (a spanning tree for connectivity would shift it by 3e-5
in this layout). No two machines of a data set have the same table.

A sample's segments are its demonstrations ``s a s a ... s <end>``, one per start state, and its
query ``<query> s a s a ... s <end>``; a sequence is some demonstrations and the query.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from engines.contract.config import ConfigError
from engines.shared.automata.description import (
    END,
    FIRST_ACTION,
    PADDING,
    QUERY,
    DataSet,
    longest_walk,
    shortest_walk,
)

Array = np.ndarray[Any, np.dtype[Any]]

RECIPE = 1
"""Raise it whenever the same parameters begin to give other sequences."""

ROUNDS = 1000
"""Attempts to find machines that differ from all others."""


@dataclass(frozen=True)
class Samples:
    """One split. N samples, S states, A actions; L is the longest segment."""

    tables: Array
    """Next state: (N, S, A), uint8."""
    segments: Array
    """Demonstration from each state, then the query: (N, S + 1, L), uint8, padded."""
    lengths: Array
    """Tokens of each segment: (N, S + 1), int64."""

    def __len__(self) -> int:
        return len(self.tables)


@dataclass(frozen=True)
class Data:
    """The three splits."""

    train: Samples
    validation: Samples
    test: Samples
    key: str
    """Hash of all parameters."""


def key_of(which: DataSet) -> str:
    """Hash of every parameter that decides the data."""
    return hashlib.sha256(
        json.dumps([RECIPE, which.model_dump()], sort_keys=True).encode()
    ).hexdigest()[:24]


def make_tables(which: DataSet, random: np.random.Generator) -> Array:
    """Different transition tables, (N, S, A) uint8; ConfigError if there are not enough."""
    states, actions = which.machines.states, which.machines.actions
    wanted = which.train + which.validation + which.test
    found: Array = np.zeros((0, states, actions), np.uint8)
    for _ in range(ROUNDS):
        more = random.integers(0, states, (wanted, states, actions), dtype=np.uint8)
        if which.machines.absorbing:
            sink = random.integers(0, states, wanted)
            # All actions of the sink lead to itself.
            more[np.arange(wanted), sink] = sink[:, None]
        both = np.concatenate([found, more])
        # np.unique sorts the tables; their first places, sorted, keep the order in which they were
        # drawn, or else the splits would be of different kinds of machines.
        first = np.sort(np.unique(both.reshape(len(both), -1), axis=0, return_index=True)[1])
        found = both[first][:wanted]
        if len(found) == wanted:
            return found
    raise ConfigError(
        f"machines: {wanted} different ones asked for, {len(found)} found; ask for fewer, "
        "or for more states or actions"
    )


def walk(
    tables: Array, start: Array, base: int, random: np.random.Generator
) -> tuple[Array, Array]:
    """Walks with uniform actions from ``start`` (N,): tokens ``s a s ... s <end>`` (N, 2 longest +
    2) padded, and their lengths (N,)."""
    count, longest = len(tables), longest_walk(base)
    # Every walk is made at full length and cut at its own: one loop over steps, not over machines.
    transitions = random.integers(shortest_walk(base), longest + 1, count)
    actions = random.integers(0, tables.shape[2], (count, longest), dtype=np.uint8)
    tokens = np.full((count, 2 * longest + 2), PADDING, np.uint8)
    everyone, state = np.arange(count), start.astype(np.uint8)
    for step in range(longest):
        tokens[:, 2 * step] = state
        tokens[:, 2 * step + 1] = FIRST_ACTION + actions[:, step]
        state = tables[everyone, state, actions[:, step]]
    tokens[:, 2 * longest] = state
    # The state after the last transition stands at 2 * transitions, the end mark after it.
    end = 2 * transitions + 1
    tokens[np.arange(tokens.shape[1])[None] > end[:, None]] = PADDING
    tokens[everyone, end] = END
    return tokens, end + 1


def make_samples(tables: Array, which: DataSet, random: np.random.Generator) -> Samples:
    """A demonstration from each state and a query from a random one for every table."""
    machines, (count, states, _) = which.machines, tables.shape
    width = max(
        2 * longest_walk(machines.demonstration_length) + 2,
        # The query has one more token, its mark.
        2 * longest_walk(machines.query_length) + 3,
    )
    segments = np.full((count, states + 1, width), PADDING, np.uint8)
    lengths = np.zeros((count, states + 1), np.int64)
    for state in range(states):
        tokens, lengths[:, state] = walk(
            tables, np.full(count, state), machines.demonstration_length, random
        )
        segments[:, state, : tokens.shape[1]] = tokens
    tokens, walked = walk(tables, random.integers(0, states, count), machines.query_length, random)
    segments[:, states, 0] = QUERY
    segments[:, states, 1 : tokens.shape[1] + 1] = tokens
    lengths[:, states] = walked + 1
    return Samples(tables, segments, lengths)


def make_data(which: DataSet) -> Data:
    """All splits, from the parameters alone."""
    random = np.random.default_rng([which.seed, RECIPE])
    samples = make_samples(make_tables(which, random), which, random)
    return split(samples, which)


def split(samples: Samples, which: DataSet) -> Data:
    """Cut into train, validation and test, in this order; ValueError if a machine is in two of
    them."""
    ends = np.cumsum([0, which.train, which.validation, which.test])
    if len(samples) != ends[-1]:
        raise ValueError(
            f"{len(samples)} samples, but train, validation and test ask for {ends[-1]}"
        )
    different = len(np.unique(samples.tables.reshape(len(samples), -1), axis=0))
    if different != len(samples):
        raise ValueError(
            f"train, validation and test overlap: {len(samples)} machines, {different} "
            "different ones"
        )
    train, validation, test = (
        Samples(samples.tables[a:b], samples.segments[a:b], samples.lengths[a:b])
        for a, b in pairwise(ends)
    )
    return Data(train, validation, test, key_of(which))


def load(which: DataSet, folder: Path) -> Data:
    """The data set from the cache in ``folder``, made and kept there if it is not in it.

    The file's name is the hash of all parameters, and the parameters stand in the file as well;
    ConfigError if they differ.
    """
    path = folder / f"{key_of(which)}.npz"
    if not path.exists():
        made = make_data(which)
        parts = (made.train, made.validation, made.test)
        arrays = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("tables", "segments", "lengths")
        }
        folder.mkdir(parents=True, exist_ok=True)
        # Written beside and renamed: jobs that share the cache may make the same data set at once,
        # and each must find a whole file or none. The name with the process's id keeps them apart.
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            np.savez(file, parameters=np.array(_text(which)), **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    with np.load(path, allow_pickle=False) as file:
        if str(file["parameters"]) != _text(which):
            raise ConfigError(
                f"{path}: holds {file['parameters']}, wanted {_text(which)}; delete the file"
            )
        return split(Samples(file["tables"], file["segments"], file["lengths"]), which)


def _text(which: DataSet) -> str:
    return json.dumps([RECIPE, which.model_dump()], sort_keys=True)


def draw_order(count: int, states: int, demonstrations: int, random: np.random.Generator) -> Array:
    """Which demonstrations stand before each query, without replacement, then the query: (count,
    demonstrations + 1)."""
    order = random.permuted(np.tile(np.arange(states), (count, 1)), axis=1)[:, :demonstrations]
    return np.concatenate([order, np.full((count, 1), states)], axis=1)


def fixed_order(samples: Samples, which: DataSet, name: str) -> Array:
    """The one draw of demonstrations that ``validation`` and ``test`` are always judged on."""
    # A hash of the name, as Python's own differs from process to process.
    tag = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    random = np.random.default_rng([which.seed, RECIPE, tag])
    return draw_order(len(samples), which.machines.states, which.machines.demonstrations, random)
