"""Reads what the jobs left: scores by problem, curves over training, what ran where.

In: the output folders that the config names. Out: one ``Inputs``; what is not there is named in its
``missing``, and every file read is a numbered source. Called by report.py; the evolution's load.py
reads scores with the same functions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.analysis.comparable import Conditions
from engines.analysis.config import Config
from engines.contract.config import ConfigError
from engines.contract.counting.counts import counted
from engines.contract.progress import read_progress
from engines.contract.results import (
    COST_FILE,
    Cost,
    ResultSource,
    Row,
    read_cost,
    read_results,
)
from engines.shared.data.contamination import overlap
from engines.shared.reporting.sources import Sources

Task = tuple[str, str]
"""(domain, task)."""
Scores = dict[Task, dict[str, list[float]]]
"""(domain, task) -> item_id -> values of its samples."""
NOT_TRAINING = ("evaluate", "score")
"""Phases of progress that an evaluation reports."""


@dataclass
class Behaviour:
    """How an arm answers the problems of one task, beside whether it is right: sums over
    samples."""

    samples: int = 0
    tokens: int = 0
    cut: int = 0
    """Samples that ended at the token limit."""
    no_answer: int = 0
    out_of_time: int = 0
    """Samples whose program ran longer than it may."""

    def add(self, line: dict[str, Any]) -> None:
        """One line of a scores file."""
        self.samples += 1
        self.tokens += line["tokens"]
        self.cut += line["finish_reason"] == "length"
        self.no_answer += line["status"] == "no_answer"
        self.out_of_time += line["status"] == "out_of_time"


@dataclass
class JobCost:
    """What one job has cost."""

    job: str
    cost: Cost | None
    """None: not known."""
    source: int | None
    """The number of the file that says so."""


@dataclass
class Inputs:
    """Everything that the jobs left."""

    scores: dict[str, dict[str, Scores]] = field(default_factory=dict)
    """arm -> seed -> scores."""
    behaviour: dict[str, dict[Task, Behaviour]] = field(default_factory=dict)
    """arm -> (domain, task) -> how it answers."""
    conditions: Conditions = field(default_factory=Conditions)
    trained: list[str] = field(default_factory=list)
    """Model, data and steps of the compared arms in words, as far as all of them have the same."""
    trained_on_test: list[str] = field(default_factory=list)
    """Trainings that used problems of the evaluation, and how many."""
    evaluations: dict[str, dict[str, tuple[Path, str]]] = field(default_factory=dict)
    """arm -> seed -> output folder and checkpoint of its evaluation."""
    specialists: dict[str, dict[str, Scores]] = field(default_factory=dict)
    """Specialist -> seed -> scores."""
    curves: dict[str, list[tuple[str, list[dict[str, Any]]]]] = field(default_factory=dict)
    """arm -> [(job, lines of progress.jsonl)]."""
    costs: list[JobCost] = field(default_factory=list)
    results: list[tuple[ResultSource, list[Row]]] = field(default_factory=list)
    """Every finished job's own rows."""
    missing: list[str] = field(default_factory=list)
    """What is not there, or not alike in both arms."""
    sources: Sources = field(default_factory=Sources)


def read_jobs(config: Config) -> Inputs:
    """Read every input; ConfigError if the evaluations cannot be compared."""
    inputs = Inputs()
    # The order of these keys is that of every table: the baseline comes first.
    for arm in (config.compare.baseline, config.compare.treatment):
        inputs.scores[arm], inputs.behaviour[arm] = {}, {}
    trainings: list[tuple[ResultSource, dict[str, Any]]] = []
    evaluated_data: Any = None
    for source in counted("reading answers", config.inputs):
        read_curve(source, config, inputs)
        document = read_finished(source, inputs)
        if document is None:
            continue
        if document["engine"] != "evaluation":
            trainings.append((source, document))
        elif arm_of(source, config) in inputs.scores:
            read_evaluation(source, document, config, inputs)
            # Any one will do: all of them are refused unless they hold the same problems.
            evaluated_data = document["config"].get("data")
    # Only now: what the trainings used is held against the data of the evaluations.
    for source, document in trainings:
        check_training_data(source, document, evaluated_data, inputs)
    inputs.trained = trained_words([document for _, document in trainings], inputs)
    inputs.missing += inputs.trained_on_test
    read_specialists(config, inputs)
    inputs.missing += inputs.conditions.check()
    for source in config.inputs:
        read_cost_of(source, inputs)
    for source, _ in inputs.results:
        inputs.sources.add("rows", Path(source.folder) / "results.json")
    return inputs


def trained_words(trainings: list[dict[str, Any]], inputs: Inputs) -> list[str]:
    """Which model was trained on how many tasks for how many steps; what differs, or what no
    training says, is left out."""
    models, steps = [], []
    for document in trainings:
        model = document["config"].get("model")
        if isinstance(model, dict):
            # A checkpoint of a job: its folder lies in the job's.
            job = Path(str(model.get("folder", ""))).parent.name
            model = f"{model.get('checkpoint', '')} of {job}"
        if isinstance(model, str) and model:
            models.append(model.rstrip("/").rpartition("/")[2])
        if "steps" in document["facts"]:
            steps.append(document["facts"]["steps"])
    tasks = {task for seeds in inputs.scores.values() for one in seeds.values() for task in one}
    words = [f"model {models[0]}"] if len(set(models)) == 1 else []
    words.append(f"{len(tasks)} task{'' if len(tasks) == 1 else 's'}")
    if len(set(steps)) == 1:
        words.append(f"{steps[0]} steps")
    return words


def arm_of(source: ResultSource, config: Config) -> str:
    """The source's value on the compared axis, "" if it has none."""
    return str(source.axes.get(config.compare.axis, ""))


def read_curve(source: ResultSource, config: Config, inputs: Inputs) -> None:
    """Add the progress of one training of a compared arm, finished or not."""
    arm = arm_of(source, config)
    if arm not in inputs.scores:
        return
    out = Path(source.folder)
    progress = [line for line in read_progress(out) if line["phase"] not in NOT_TRAINING]
    if progress:
        inputs.curves.setdefault(arm, []).append((source.job, progress))
        inputs.sources.add("curves", out / "progress.jsonl")


def read_finished(source: ResultSource, inputs: Inputs) -> dict[str, Any] | None:
    """Add the rows of one job and return its results; None, and named, if it is not done."""
    out = Path(source.folder)
    if not (out / "results.json").exists():
        inputs.missing.append(f"{source.job}: no results.json, the job is not done")
        return None
    rows, document = read_results(out)
    inputs.results.append((source, rows))
    return document


def read_evaluation(
    source: ResultSource, document: dict[str, Any], config: Config, inputs: Inputs
) -> None:
    """Add one finished evaluation to its arm."""
    arm, seed = arm_of(source, config), str(source.axes.get("seed", "0"))
    if seed in inputs.scores[arm]:
        raise ConfigError(
            f"not comparable: two evaluations of arm={arm}, seed={seed}; the second is {source.job}"
        )
    out = Path(source.folder)
    wanted = config.checkpoints.get(source.job, config.checkpoint)
    checkpoint = choose_checkpoint(document, wanted, source.job)
    name = str(checkpoint["name"])
    path = out / "scores" / f"{name}.jsonl"
    scores, lost = read_scores(path, config.metric, inputs.behaviour[arm])
    inputs.scores[arm][seed] = scores
    inputs.missing += [f"{source.job}: {what}" for what in lost]
    inputs.evaluations.setdefault(arm, {})[seed] = (out, name)
    for file in (out / "results.json", path):
        inputs.sources.add("scores", file)
    inputs.conditions.add(source.job, document)
    inputs.conditions.add_step(arm, name, checkpoint["step"])


def choose_checkpoint(document: dict[str, Any], wanted: str, job: str) -> dict[str, Any]:
    """The evaluated checkpoint to compare, with its name and step; ConfigError if it was not
    evaluated."""
    evaluated: list[dict[str, Any]] = document["facts"].get("checkpoints", [])
    refused: list[dict[str, Any]] = document["facts"].get("refused", [])
    for entry in refused:
        # Without the last checkpoint of one arm, the one before it is not the same moment.
        later = all(entry["step"] > one["step"] for one in evaluated)
        if entry["name"] == wanted or (wanted == "last" and later):
            raise ConfigError(
                f"{job}: checkpoint '{entry['name']}' was refused ({entry['reason']}); compare "
                "another one: checkpoint"
            )
    if wanted == "last" and evaluated:
        # "last" is the one of the highest step, in whatever order they were evaluated.
        return max(evaluated, key=lambda entry: (entry["step"], entry["name"]))
    for entry in evaluated:
        if entry["name"] == wanted:
            return entry
    there = sorted(entry["name"] for entry in evaluated) or "none"
    raise ConfigError(f"{job}: checkpoint '{wanted}' was not evaluated; there are {there}")


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file, one at a time: answers can be long."""
    with path.open() as file:
        for text in file:
            yield json.loads(text)


def read_scores(
    path: Path, metric: str, behaviour: dict[Task, Behaviour]
) -> tuple[Scores, list[str]]:
    """Values by task and problem; then how many samples have none and are left out, by reason.

    How each task is answered is added to ``behaviour``, those samples included.
    """
    scores: Scores = {}
    lost: dict[str, int] = {}
    for line in json_lines(path):
        task = (line["domain"], line["task"])
        values = scores.setdefault(task, {}).setdefault(line["item_id"], [])
        behaviour.setdefault(task, Behaviour()).add(line)
        if line["value"] is None:
            # The problem stays, with one value less: a score that is missing is not a 0.
            reason = f"{line['task']}: {line['status']}"
            lost[reason] = lost.get(reason, 0) + 1
        elif metric == "accuracy":
            # Partial credit counts as wrong.
            values.append(float(line["value"] == 1.0))
        else:
            values.append(float(line["value"]))
    sentences = []
    for reason, count in sorted(lost.items()):
        samples = "1 sample" if count == 1 else f"{count} samples"
        sentences.append(f"{samples} without a score ({reason})")
    return scores, sentences


def read_specialists(config: Config, inputs: Inputs) -> None:
    """Add the evaluations of the specialists; they must be comparable with the others."""
    # Read into inputs of their own, so that no specialist becomes an arm of the comparison.
    specialists = Inputs()
    for source in config.specialists:
        arm = arm_of(source, config)
        specialists.scores.setdefault(arm, {})
        specialists.behaviour.setdefault(arm, {})
        _, document = read_results(Path(source.folder))
        read_evaluation(source, document, config, specialists)
    inputs.specialists = specialists.scores
    inputs.conditions.add_specialists(specialists.conditions)
    inputs.missing += specialists.missing
    for file in specialists.sources.files:
        inputs.sources.add("specialists", file)


def check_training_data(
    source: ResultSource, document: dict[str, Any], evaluated_data: Any, inputs: Inputs
) -> None:
    """Name the problems of the evaluation that a training used, or that nobody could check.

    A training that was not told what the evaluation uses (``evaluated_data``, its ``data``) is
    checked here, while its files are there.
    """
    if "test_data" not in document["facts"]:
        # Of an engine that does not train on problems.
        return
    test_data = document["facts"]["test_data"]
    if test_data is None:
        try:
            if evaluated_data is None:
                raise ConfigError("no test_data is given")
            test_data = overlap(document["config"]["data"], evaluated_data)
        except (ConfigError, OSError) as error:
            inputs.missing.append(
                f"{source.job}: whether it trained on problems of the evaluation was not "
                f"checked: {error}"
            )
            return
    in_training = shared_problems(test_data.get("in_training", {}))
    if in_training:
        inputs.trained_on_test.append(
            f"{source.job}: problems of the evaluation in training: {in_training}"
        )
    in_validation = shared_problems(test_data.get("in_validation", {}))
    if in_validation:
        inputs.missing.append(
            f"{source.job}: problems of the evaluation in validation: {in_validation}"
        )
    # Absent where there are none, and in results of versions that did not look for them.
    if "near_training" in test_data:
        inputs.missing.append(
            f"{source.job}: training problems that nearly repeat one of the evaluation: "
            f"{test_data['near_training']}"
        )


def shared_problems(counts: dict[str, int]) -> str:
    """How many problems of each task were found, in words; "" for none."""
    return ", ".join(f"{task} {count}" for task, count in counts.items() if count)


def read_cost_of(source: ResultSource, inputs: Inputs) -> None:
    """Add what a job has cost; what is not known of it is named in ``missing``."""
    out = Path(source.folder)
    cost = read_cost(out)
    if isinstance(cost, str):
        inputs.costs.append(JobCost(source.job, None, None))
        inputs.missing.append(f"cost of {source.job}: {cost}")
        return
    number = inputs.sources.add("costs", out / COST_FILE)
    inputs.costs.append(JobCost(source.job, cost, number))
    inputs.missing += [f"cost of {source.job}: {reason}" for reason in cost.unknown]
