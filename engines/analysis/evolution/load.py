"""Reads the scores of every checkpoint, sample by sample, and the rewards of the trainings.

In: the evaluations and trainings that the config names. Out: one ``Inputs`` with a ``Series`` of
checkpoints per training; what is not there is named in its ``missing``, and every file read is a
numbered source. Called by report.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engines.analysis.comparable import Conditions
from engines.analysis.comparison import check_items
from engines.analysis.evolution.config import Config, Scored
from engines.analysis.load import Behaviour, Scores, Task, json_lines, read_scores
from engines.contract.config import ConfigError
from engines.contract.progress import read_progress
from engines.contract.results import read_results
from engines.shared.reporting.sources import Sources
from engines.shared.reporting.statistics import Array

REWARD = "train_reward_mean"


@dataclass
class Point:
    """One scored checkpoint."""

    scored: Scored
    scores: Scores
    behaviour: dict[Task, Behaviour]
    right: dict[tuple[str, str, int], bool]
    """(task, item_id, sample) -> judged right; samples without a score are left out."""
    means: dict[Task, dict[str, float]] = field(default_factory=dict)
    """task -> item_id -> mean over its samples, of the problems that every checkpoint of the
    training has a score of."""

    def __post_init__(self) -> None:
        """Take the means once."""
        for task, items in self.scores.items():
            means = self.means[task] = {}
            for item, samples in items.items():
                # A problem whose samples all lack a score has no mean.
                if samples:
                    means[item] = float(np.mean(samples))

    @property
    def name(self) -> str:
        """The checkpoint as the training calls it."""
        return self.scored.checkpoint


@dataclass
class Series:
    """The checkpoints of one training, lowest step first."""

    name: str
    label: str
    """What tells it apart, short enough for a figure."""
    points: list[Point]
    rewards: list[tuple[int, float]]
    """(step, mean reward of its rollouts)."""

    @property
    def steps(self) -> list[int]:
        """Optimizer steps of the checkpoints."""
        return [point.scored.step for point in self.points]

    @property
    def last(self) -> int:
        """The place of the last checkpoint."""
        return len(self.points) - 1


@dataclass
class Inputs:
    """All that was read."""

    config: Config
    series: list[Series]
    missing: list[str] = field(default_factory=list)
    sources: Sources = field(default_factory=Sources)

    @property
    def tasks(self) -> list[Task]:
        """Every (domain, task), sorted."""
        # All checkpoints have the same tasks: `check_items` refuses others.
        return sorted(self.series[0].points[0].means)

    def domains(self) -> dict[str, list[Task]]:
        """domain -> its tasks."""
        domains: dict[str, list[Task]] = {}
        for task in self.tasks:
            domains.setdefault(task[0], []).append(task)
        return domains

    def weights(self, domain: str | None) -> tuple[list[Task], list[float]]:
        """Tasks and their weights: of a domain the mean over its tasks, of None (the macro mean)
        the mean over domains."""
        domains = [tasks for name, tasks in self.domains().items() if domain in (None, name)]
        members: list[Task] = []
        weights: list[float] = []
        for tasks in domains:
            members += tasks
            # Domains count the same, and within a domain
            # its tasks, whatever their number of problems.
            weights += [1 / len(tasks) / len(domains)] * len(tasks)
        return members, weights


def read_inputs(config: Config) -> Inputs:
    """Everything; ConfigError if nothing is scored, or if what is there cannot be compared."""
    # Checkpoints that were deleted before they could be scored are missing, too.
    inputs = Inputs(config, [], list(config.pruned))
    conditions = Conditions()
    trainings: dict[str, list[Point]] = {}
    for scored in config.points:
        point = read_point(scored, inputs, conditions)
        if point is not None:
            trainings.setdefault(scored.training, []).append(point)
    if not trainings:
        raise ConfigError("points: none of them is scored; nothing can be reported")
    inputs.missing += conditions.check()
    scores = {
        name: {point.name: point.scores for point in points} for name, points in trainings.items()
    }
    check_items(scores, word="")
    for name, points in trainings.items():
        points.sort(key=lambda point: (point.scored.step, point.name))
        inputs.series.append(series_of(name, points, inputs))
    return inputs


def read_point(scored: Scored, inputs: Inputs, conditions: Conditions) -> Point | None:
    """One checkpoint's scores; None, and named, if its evaluation left none."""
    out, name = Path(scored.folder), f"{scored.training}, {scored.checkpoint}"
    if not (out / "results.json").is_file():
        inputs.missing.append(f"{name}: {out} has no results.json: its evaluation is not done")
        return None
    _, document = read_results(out)
    for entry in document["facts"].get("refused", []):
        if entry["name"] == scored.evaluated_as:
            inputs.missing.append(f"{name}: its evaluation refused it: {entry['reason']}")
            return None
    # Checkpoints of equal weights are evaluated once, under the name of the first of them.
    path = out / "scores" / f"{scored.evaluated_as}.jsonl"
    if not path.is_file():
        raise ConfigError(
            f"{name}: {path} is not there, although its evaluation is done; evaluate it again"
        )
    behaviour: dict[Task, Behaviour] = {}
    scores, lost = read_scores(path, inputs.config.metric, behaviour)
    inputs.missing += [f"{name}: {what}" for what in lost]
    right = {}
    for line in json_lines(path):
        if line["value"] is not None:
            key = (line["task"], line["item_id"], line["sample"])
            right[key] = line["value"] == 1.0
    for file in (out / "results.json", path):
        inputs.sources.add("scores", file)
    conditions.add(name, document)
    return Point(scored, scores, behaviour, right)


def series_of(name: str, points: list[Point], inputs: Inputs) -> Series:
    """One training's checkpoints with the rewards of its rollouts."""
    keep_common_problems(name, points, inputs)
    rewards = read_rewards(name, inputs)
    if not rewards:
        inputs.missing.append(
            f"{name}: no progress.jsonl has {REWARD}, so overfitting cannot be told from "
            "any other fall"
        )
    axes = points[0].scored.axes
    label = ", ".join(f"{axis}={value}" for axis, value in axes.items()) or Path(name).name
    return Series(name, label, points, rewards)


def keep_common_problems(name: str, points: list[Point], inputs: Inputs) -> None:
    """Leave out the problems that some checkpoint has no score of: a mean over now these and now
    those problems would jump."""
    for task in points[0].means:
        common = set.intersection(*(set(point.means[task]) for point in points))
        total = len(points[0].scores[task])
        if len(common) < total:
            inputs.missing.append(
                f"{name}: {task[1]}: {len(common)} of {total} problems have a score at "
                "every checkpoint"
            )
        for point in points:
            means = point.means[task]
            point.means[task] = {item: means[item] for item in means if item in common}


def read_rewards(name: str, inputs: Inputs) -> list[tuple[int, float]]:
    """(step, mean reward) of a training's rollouts; empty if none is known."""
    rewards: list[tuple[int, float]] = []
    for source in inputs.config.trainings:
        if source.job != name:
            continue
        out = Path(source.folder)
        for line in read_progress(out):
            if REWARD in line["metrics"]:
                rewards.append((line["step"], line["metrics"][REWARD]))
        if rewards:
            inputs.sources.add("curves", out / "progress.jsonl")
    return rewards


def values(
    point: Point, tasks: list[Task], keep: dict[Task, set[str]] | None = None
) -> list[Array]:
    """Per task the means of the problems (of those in ``keep``) that have a score."""
    by_task = []
    for task in tasks:
        means = point.means[task]
        by_task.append(np.array([means[item] for item in problems(point, task, keep)]))
    return by_task


def differences(
    before: Point, after: Point, tasks: list[Task], keep: dict[Task, set[str]] | None = None
) -> list[Array]:
    """Per task ``after`` minus ``before`` on the problems that both could score."""
    by_task = []
    for task in tasks:
        first, second = before.means[task], after.means[task]
        common = [item for item in problems(before, task, keep) if item in second]
        by_task.append(np.array([second[item] - first[item] for item in common]))
    return by_task


def problems(point: Point, task: Task, keep: dict[Task, set[str]] | None) -> list[str]:
    """The problems of a task (of those in ``keep``) that have a score, sorted."""
    return [item for item in sorted(point.means[task]) if keep is None or item in keep[task]]
