"""All pairs of models: debiased CKA and Procrustes of their states, and what they mean by how the
two are related.

In: what the jobs left. Out: one ``Similarity``. Called by report.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.contract.config import ConfigError
from engines.geography_report.load import Finished, Inputs, Model
from engines.geography_report.similarity.states import layers_of, read_cities, read_states
from engines.shared.geography.representations.similarity import (
    FEWEST_CITIES,
    States,
    all_pairs,
    prepare,
)
from engines.shared.reporting.statistics import Array

SAME_OTHER_SEED = "same tasks, other seed"
OTHER_TASKS = "other tasks"
SHARED_TASK = "other tasks, one or more shared"


@dataclass(frozen=True)
class Relation:
    """All pairs of models of one kind that are related in one way."""

    kind: str
    tasks: int
    """Tasks that each of the models was trained on."""
    relation: str
    pairs: int
    cka: float
    """Mean over pairs."""
    cka_deviation: float | None
    procrustes: float
    procrustes_deviation: float | None


@dataclass(frozen=True)
class Similarity:
    """The tables of all pairs and what they say."""

    models: list[Model]
    layer: str
    """Which layer, in words."""
    cities: int
    cka: Array
    """(models, models), debiased."""
    procrustes: Array
    """(models, models): 0 the same shape, 1 none in common."""
    relations: list[Relation]


def compare(inputs: Inputs, layer: int | None) -> Similarity | None:
    """Compare all models that have a map; None for fewer than two."""
    ordered = [inputs.maps[one.folder] for one in inputs.ordered if one.folder in inputs.maps]
    models, states, layers = [], [], set()
    first: tuple[Finished, Array] | None = None
    for finished in ordered:
        cities = read_cities(finished.out)
        rows = cities.row[cities.compared]
        if first is None:
            first = (finished, rows)
        check_cities(first, (finished, rows))
        kept = layers_of(finished)
        wanted = layer if layer is not None else int(finished.model.config["shape"]["layers"]) - 1
        if wanted not in kept:
            raise ConfigError(f"{finished.job}: has no states of layer {wanted}; it has {kept}")
        inputs.sources.add("similarity", finished.out / "representations.safetensors")
        try:
            state = usable(read_states(finished.out, kept.index(wanted))[cities.compared])
        except ValueError as error:
            inputs.missing.append(f"{finished.model.name}: not compared with others: {error}")
            continue
        models.append(finished.model)
        states.append(state)
        layers.add(wanted)
    if len(models) < 2 or first is None or len(first[1]) < FEWEST_CITIES:
        return None
    return tables(models, states, ", ".join(map(str, sorted(layers))), len(first[1]))


def usable(states: Array) -> States:
    """States made ready; ValueError for those that are like nothing, not even themselves."""
    ready = prepare(states)
    if ready.debiased <= 0:
        raise ValueError("states: too few cities to tell what varies from chance")
    return ready


def check_cities(first: tuple[Finished, Array], other: tuple[Finished, Array]) -> None:
    """ConfigError if two maps are of other cities."""
    if not np.array_equal(first[1], other[1]):
        raise ConfigError(
            f"{other[0].job} is a map of other cities than {first[0].job}: models are compared "
            "city by city; map them on one data folder with one split_seed and fit_share"
        )


def tables(models: list[Model], states: Sequence[States], layer: str, cities: int) -> Similarity:
    """Both measures over all pairs, each pair once."""
    cka, procrustes = all_pairs(states, "cka"), all_pairs(states, "procrustes")
    groups: dict[tuple[str, int, str], list[tuple[float, float]]] = {}
    for row, first in enumerate(models):
        for column in range(row):
            relation = relation_of(first, models[column])
            if relation is not None:
                key = (first.kind, len(first.trained), relation)
                values = (float(cka[row, column]), float(procrustes[row, column]))
                groups.setdefault(key, []).append(values)
    relations = [relation_from(key, values) for key, values in sorted(groups.items())]
    return Similarity(models, layer, cities, cka, procrustes, relations)


def relation_of(first: Model, second: Model) -> str | None:
    """How two models are related; None if they are of unlike kinds. Models of one seed have one
    base, so those of other tasks are told apart by it: only the other seeds' are to be held against
    the same tasks of another seed."""
    if first.kind != second.kind or len(first.trained) != len(second.trained):
        return None
    if first.trained == second.trained:
        return None if first.seed == second.seed else SAME_OTHER_SEED
    shared = set(first.trained) & set(second.trained)
    seed = "same seed" if first.seed == second.seed else "other seed"
    return f"{SHARED_TASK if shared else OTHER_TASKS}, {seed}"


def relation_from(key: tuple[str, int, str], values: Sequence[tuple[float, float]]) -> Relation:
    """Means and deviations over the pairs of a relation."""
    cka, procrustes = np.array(values).T
    several = len(values) > 1
    return Relation(
        *key,
        len(values),
        float(cka.mean()),
        float(cka.std(ddof=1)) if several else None,
        float(procrustes.mean()),
        float(procrustes.std(ddof=1)) if several else None,
    )
