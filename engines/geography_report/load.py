"""Reads what the jobs left: models, their answers, their maps.

In: the output folders that the config names. Out: one ``Inputs``; what is not there is named in its
``missing``. Called by report.py.

A job is known by the engine in its ``results.json``, a model by the output folder of the training
that made it. What a model was trained on, and from which base, stands in the training's config; the
training itself need not be among the inputs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError
from engines.contract.results import ResultSource, Row, read_results
from engines.geography_report.config import Config
from engines.shared.geography.tasks import TASKS
from engines.shared.reporting.sources import Sources

MEMBERS, MEMBER = "models", "seed-"
"""Where the models of a training of several seeds lie: ``models/seed-3``."""
Axes = dict[str, str | int | float | bool]
TRAINING, EVALUATION, MAPS = "geography", "geography_evaluation", "geography_maps"
BASE, NEW_CITIES, SECOND_TASK = "base", "new cities", "second task"
"""Kinds of models: trained from fresh weights; from a base, with questions about new cities among
the rows; from a base, with another task about the cities it knows."""


@dataclass(frozen=True, eq=False)
class Model:
    """One trained model."""

    folder: str
    """Output folder of its training, or of its part of it; without links."""
    config: dict[str, Any]
    """Of its training."""
    facts: dict[str, Any]
    seed: int
    trained: tuple[str, ...]
    """The tasks of its mixture, in the published order; warm-up rows do not count."""
    base: Model | None

    @property
    def kind(self) -> str:
        """BASE, NEW_CITIES or SECOND_TASK."""
        if self.base is None:
            return BASE
        known = all(part["cities"] == "no_atlantis" for part in self.config["mixture"])
        return SECOND_TASK if known else NEW_CITIES

    @property
    def second_task(self) -> tuple[str, str] | None:
        """Of a model of that kind: the task of its base and the one that came after; None where
        these are not two single tasks."""
        if self.kind != SECOND_TASK or self.base is None or len(self.base.trained) != 1:
            return None
        others = [task for task in self.trained if task != self.base.trained[0]]
        return (self.base.trained[0], others[0]) if len(others) == 1 else None

    @property
    def name(self) -> str:
        """``distance+angle, seed 1``, ``base of all tasks, seed 1``, ``angle after distance, seed
        1``."""
        if self.second_task:
            what = " after ".join(reversed(self.second_task))
        else:
            what = "all tasks" if len(self.trained) == len(TASKS) else "+".join(self.trained)
            if self.kind == BASE:
                what = f"base of {what}"
        return f"{what}, seed {self.seed}"


@dataclass(frozen=True, eq=False)
class Finished:
    """A finished evaluation or map of a model."""

    job: str
    out: Path
    model: Model
    rows: list[Row]
    document: dict[str, Any]

    def row(self, metric: str, axes: Axes) -> Row | None:
        """The row with exactly these axes."""
        for row in self.rows:
            if row.metric == metric and row.axes == axes:
                return row
        return None

    def value(self, metric: str, axes: Axes) -> float | None:
        """Its value; None if there is none or it could not be computed."""
        row = self.row(metric, axes)
        return None if row is None else row.value


@dataclass
class Inputs:
    """Everything that the jobs left."""

    models: dict[str, Model] = field(default_factory=dict)
    """By folder; bases too, whether or not their jobs are among the inputs."""
    evaluations: dict[str, Finished] = field(default_factory=dict)
    """By the folder of the model."""
    maps: dict[str, Finished] = field(default_factory=dict)
    """By the folder of the model."""
    missing: list[str] = field(default_factory=list)
    """What is not there or could not be computed, in words."""
    skipped: list[str] = field(default_factory=list)
    sources: Sources = field(default_factory=Sources)

    @property
    def ordered(self) -> list[Model]:
        """All models, bases first."""
        return [model for kind in (BASE, NEW_CITIES, SECOND_TASK) for model in self.of(kind)]

    def of(self, kind: str) -> list[Model]:
        """The models of a kind, by what they were trained on, then by seed."""
        found = [model for model in self.models.values() if model.kind == kind]
        return sorted(found, key=lambda model: (order_of(model.trained), model.seed))


def order_of(trained: Iterable[str]) -> tuple[int, list[int]]:
    """Fewer tasks first, then by their published numbers."""
    numbers = [TASKS[task].number for task in trained]
    return len(numbers), numbers


def read_jobs(config: Config) -> Inputs:
    """Read every input; what is not there is named."""
    inputs = Inputs()
    for source in config.inputs:
        read_job(source, inputs)
    for model in inputs.models.values():
        if model.folder not in inputs.evaluations:
            inputs.missing.append(f"{model.name}: no finished evaluation among the inputs")
    inputs.missing += errors_of([*inputs.evaluations.values(), *inputs.maps.values()])
    return inputs


def errors_of(jobs: list[Finished]) -> list[str]:
    """What could not be computed and why, each reason once: a model that has learned nothing has
    dozens of rows without a value."""
    found: dict[tuple[str, str], list[str]] = {}
    for job in jobs:
        for row in job.rows:
            if row.error is not None:
                places = found.setdefault((row.metric, row.error), [])
                places.append(", ".join([job.model.name, *map(str, row.axes.values())]))
    return [
        f"{metric}: {error} ({len(places)} values, the first: {places[0]})"
        for (metric, error), places in found.items()
    ]


def read_job(source: ResultSource, inputs: Inputs) -> None:
    """Add one job."""
    out = Path(source.folder)
    # Left by the orchestrator beside the output folder of a job that a gate or the user skipped.
    given_up = out.parent / "skipped.json"
    if not (out / "results.json").exists():
        if given_up.exists():
            inputs.skipped.append(f"{source.job}: {json.loads(given_up.read_text())['reason']}")
        else:
            inputs.missing.append(f"{source.job}: no results.json, the job is not done")
        return
    rows, document = read_results(out)
    inputs.sources.add("results", out / "results.json")
    engine = document["engine"]
    if engine == TRAINING:
        for folder in member_folders(out, document):
            read_model(folder, inputs)
    elif engine in (EVALUATION, MAPS):
        model = read_model(document["config"]["model"]["folder"], inputs)
        finished = Finished(source.job, out, model, rows, document)
        add(finished, inputs.evaluations if engine == EVALUATION else inputs.maps, inputs)
    elif engine != "geography_data":
        inputs.missing.append(f"{source.job}: the engine {engine} is none of this report")


def add(finished: Finished, known: dict[str, Finished], inputs: Inputs) -> None:
    """Keep one evaluation or map per model: that of the latest checkpoint."""
    other = known.get(finished.model.folder)
    if other is None:
        known[finished.model.folder] = finished
        return
    steps = [one.document["facts"].get("step", 0) for one in (other, finished)]
    kept, dropped = (other, finished) if steps[0] >= steps[1] else (finished, other)
    known[finished.model.folder] = kept
    inputs.missing.append(
        f"{dropped.job}: left out, as {kept.job} is of the same model at a later or the same step"
    )


def member_folders(out: Path, document: dict[str, Any]) -> list[str]:
    """The folders of a training's models: its own, or one per model where there are several."""
    seeds = members_of(document["config"])
    if len(seeds) == 1:
        return [str(out)]
    return [str(out / MEMBERS / f"{MEMBER}{seed}") for seed in seeds]


def members_of(config: dict[str, Any]) -> list[int]:
    """The seeds of a training's models."""
    return config.get("seeds") or [config["seed"]]


def read_model(folder: str, inputs: Inputs) -> Model:
    """The model whose training left a folder, with its base; ConfigError if there is no finished
    training."""
    place = os.path.realpath(folder)
    if place in inputs.models:
        return inputs.models[place]
    own, above = Path(place), Path(place).parent.parent
    # Of several models that were trained in one job, each has a folder of its own below.
    training = own if (own / "results.json").exists() else above
    if not (training / "results.json").exists():
        raise ConfigError(f"{place}: no results.json of the training of this model")
    document = read_results(training)[1]
    if document["engine"] != TRAINING:
        raise ConfigError(
            f"{training}: is of the engine {document['engine']}, not a training ({TRAINING})"
        )
    config = document["config"]
    seeds = members_of(config)
    seed = seeds[0] if training == own else int(own.name.removeprefix(MEMBER))
    base = base_folder(config, seeds.index(seed))
    named = {task for part in config["mixture"] for task in tasks_of(part)}
    model = Model(
        folder=place,
        config=config,
        facts=document["facts"],
        seed=seed,
        trained=tuple(task for task in TASKS if task in named),
        base=read_model(base, inputs) if base else None,
    )
    inputs.models[place] = model
    return model


def base_folder(config: dict[str, Any], place: int) -> str | None:
    """Where the model that the one at ``place`` among a training's seeds started from lies."""
    initial = config.get("initial")
    if initial is None:
        return None
    source = initial[place] if isinstance(initial, list) else initial
    folder = Path(source["folder"])
    # A training of several seeds: each goes on from the model of its own.
    if (folder / MEMBERS).is_dir():
        folder = folder / MEMBERS / f"{MEMBER}{members_of(config)[place]}"
    return str(folder)


def tasks_of(part: dict[str, Any]) -> list[str]:
    """The tasks of a part of a mixture, by name."""
    return list(TASKS) if part["tasks"] == "all" else list(part["tasks"])
