"""Reads what the jobs left: trainings with their curves and costs, and the replies of each model.

In: the output folders that the config names. Out: one ``Inputs``; what is not there is named in its
``missing``. Called by report.py.

A job is known by the engine in its ``results.json``. Which arm a training belongs to stands in its
config, so arms are told apart by what was really run and not by the names of jobs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engines.contract.progress import read_progress
from engines.contract.results import Cost, ResultSource, Row, read_cost, read_results
from engines.polychromic_report.config import Config
from engines.shared.reporting.sources import Sources
from engines.shared.reporting.statistics import Array

TRAINING, EVALUATION, DATA = "polychromic", "polychromic_evaluation", "polychromic_data"
NOT_OF_AN_ARM = frozenset({"seed", "cpu_threads", "device"})
"""Keys of a training's config that do not tell arms apart."""
PLAIN = "no diversity term"


@dataclass(frozen=True)
class Setting:
    """An arm: all trainings that differ in their seed alone."""

    weight: float
    family: str
    """How the term is computed: ``quality-gated``, ``not gated``, or the name of a surrogate."""
    other: str = ""
    """What else differs between the trainings of the experiment, such as ``samples 3``."""

    @property
    def label(self) -> str:
        """``weight 1, quality-gated``."""
        name = PLAIN if self.weight == 0 else f"weight {self.weight:g}, {self.family}"
        return f"{name}, {self.other}" if self.other else name

    def order(self) -> tuple[bool, str, float, str]:
        """The arm without the term first, then by family and weight."""
        return self.weight != 0, self.family, self.weight, self.other


@dataclass(frozen=True)
class Training:
    """A finished training."""

    job: str
    out: Path
    setting: Setting
    seed: int
    rows: list[Row]
    facts: dict[str, Any]
    curve: list[dict[str, Any]]
    """Lines of progress.jsonl."""
    cost: Cost | str


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The replies of one model."""

    name: str
    setting: Setting | None
    """None for the model that all trainings began with."""
    seed: int | None
    values: dict[str, Array]
    """Metric -> one value per prompt, NaN where there is none; prompts in one order for all."""
    folder: Path


@dataclass
class Inputs:
    """Everything that the jobs left."""

    trainings: list[Training] = field(default_factory=list)
    models: list[Evaluated] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    """The documents of the evaluations' results."""
    costs: dict[str, Cost | str] = field(default_factory=dict)
    """Of every job, by its name."""
    missing: list[str] = field(default_factory=list)
    """What is not there or could not be computed, in words."""
    skipped: list[str] = field(default_factory=list)
    sources: Sources = field(default_factory=Sources)

    @property
    def base(self) -> Evaluated | None:
        """The model that all trainings began with."""
        return next((model for model in self.models if model.setting is None), None)

    def settings(self) -> list[Setting]:
        """The arms that have a training or an evaluated model."""
        found = [one.setting for one in self.trainings]
        found += [model.setting for model in self.models if model.setting is not None]
        return list(dict.fromkeys(found))

    def evaluated(self, setting: Setting) -> list[Evaluated]:
        """The evaluated models of an arm, by seed."""
        found = [model for model in self.models if model.setting == setting]
        return sorted(found, key=lambda model: model.seed or 0)

    def trained(self, setting: Setting) -> list[Training]:
        """The trainings of an arm, by seed."""
        found = [one for one in self.trainings if one.setting == setting]
        return sorted(found, key=lambda one: one.seed)

    def pairs(self, one: Setting, other: Setting) -> list[tuple[Evaluated, Evaluated]]:
        """The models of two arms, seed by seed, where both have one."""
        others = {model.seed: model for model in self.evaluated(other)}
        return [
            (model, others[model.seed]) for model in self.evaluated(one) if model.seed in others
        ]


def read_jobs(config: Config) -> Inputs:
    """Read every input; what is not there is named."""
    inputs = Inputs()
    documents = []
    for source in config.inputs:
        found = read_job(source, inputs)
        if found is not None:
            documents.append((source, *found))
    trained = [one["config"] for _, _, one in documents if one["engine"] == TRAINING]
    varied = varied_keys(trained)
    for source, rows, document in documents:
        if document["engine"] == TRAINING:
            inputs.trainings.append(training(source, rows, document, varied))
    settings = {one.job: (one.setting, one.seed) for one in inputs.trainings}
    for source, rows, document in documents:
        if document["engine"] == EVALUATION:
            inputs.evaluations.append(document)
            add_models(Path(source.folder), document, settings, inputs)
            errors = [row for row in rows if row.error is not None]
            inputs.missing += sorted({f"{row.metric}: {row.error}" for row in errors})
    return inputs


def read_job(source: ResultSource, inputs: Inputs) -> tuple[list[Row], dict[str, Any]] | None:
    """Rows and document of a finished job of this experiment; None for any other."""
    out = Path(source.folder)
    # Left by the orchestrator beside the output folder of a job that a gate or the user skipped.
    given_up = out.parent / "skipped.json"
    if not (out / "results.json").exists():
        if given_up.exists():
            inputs.skipped.append(f"{source.job}: {json.loads(given_up.read_text())['reason']}")
        else:
            inputs.missing.append(f"{source.job}: no results.json, the job is not done")
        return None
    rows, document = read_results(out)
    inputs.costs[source.job] = read_cost(out)
    if document["engine"] not in (TRAINING, EVALUATION):
        if document["engine"] != DATA:
            inputs.missing.append(
                f"{source.job}: the engine {document['engine']} is none of this report"
            )
        return None
    inputs.sources.add("results", out / "results.json")
    return rows, document


def training(
    source: ResultSource, rows: list[Row], document: dict[str, Any], varied: list[str]
) -> Training:
    """One finished training."""
    out = Path(source.folder)
    config = document["config"]
    return Training(
        source.job,
        out,
        setting_of(config, varied),
        int(config["seed"]),
        rows,
        document["facts"],
        read_progress(out),
        read_cost(out),
    )


def setting_of(config: dict[str, Any], varied: list[str]) -> Setting:
    """The arm of a training; ``varied`` are the keys beside the usual ones that differ."""
    term = config["diversity"]
    family = PLAIN if not term["weight"] else kind_of(term)
    flat = deciding(config)
    others = [f"{key.split('.')[-1]} {in_words(flat[key])}" for key in varied if key in flat]
    return Setting(float(term["weight"]), family, ", ".join(others))


def deciding(config: dict[str, Any]) -> dict[str, Any]:
    """Values that tell arms apart beside weight, objective and gate, by dotted key. Of a training
    without the term, the term decides nothing."""
    term = config["diversity"] if config["diversity"]["weight"] else {}
    flat = {key: value for key, value in config.items() if key not in NOT_OF_AN_ARM}
    del flat["diversity"]
    told = ("weight", "objective", "gate")
    return {**flat, **{f"diversity.{key}": term[key] for key in term if key not in told}}


def varied_keys(configs: list[dict[str, Any]]) -> list[str]:
    """Dotted keys that have more than one value among the trainings that have them."""
    values: dict[str, set[str]] = {}
    for config in configs:
        for key, value in deciding(config).items():
            values.setdefault(key, set()).add(json.dumps(value, sort_keys=True))
    return [key for key, found in values.items() if len(found) > 1]


def kind_of(term: dict[str, Any]) -> str:
    """How the term is computed."""
    if term["objective"] != "score_function":
        return str(term["objective"])
    return "quality-gated" if term["gate"] == "quality" else "not gated"


def in_words(value: Any) -> str:
    """A value of a config."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def add_models(
    out: Path,
    document: dict[str, Any],
    settings: dict[str, tuple[Setting, int]],
    inputs: Inputs,
) -> None:
    """The models that one evaluation has scored."""
    for entry in document["facts"]["models"]:
        folder = out / entry["folder"]
        if entry["job"] is None:
            setting, seed = None, None
        elif entry["job"] in settings:
            setting, seed = settings[entry["job"]]
        else:
            inputs.missing.append(f"{entry['job']}: evaluated, but its training is not an input")
            continue
        with np.load(folder / "prompts.npz", allow_pickle=False) as arrays:
            values = {name: arrays[name] for name in arrays.files if arrays[name].dtype.kind == "f"}
        inputs.sources.add("results", folder / "prompts.npz")
        inputs.models.append(Evaluated(entry["name"], setting, seed, values, folder))
