"""Reads the scores of every checkpoint, sample by sample, and the rewards of the trainings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engines.analysis.comparison import check_items
from engines.analysis.evolution.config import Config, Scored
from engines.analysis.flips import lines_of
from engines.analysis.load import Behaviour, Found, Scores, check_settings, read_scores, settings_of
from engines.contract.config import ConfigError
from engines.contract.progress import read_progress
from engines.contract.results import read_results
from engines.shared.reporting.statistics import Array

Task = tuple[str, str]
"""(domain, task)."""
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
        self.means = {
            task: {item: float(np.mean(found)) for item, found in items.items() if found}
            for task, items in self.scores.items()
        }


@dataclass
class Series:
    """The checkpoints of one training, lowest step first."""

    name: str
    label: str
    """What tells it apart, short enough for a figure."""
    colour: str
    """Value of the axis that colours stand for."""
    points: list[Point]
    rewards: list[tuple[int, float]]
    """(step, mean reward of its rollouts)."""

    @property
    def steps(self) -> list[int]:
        """Optimizer steps of the checkpoints."""
        return [point.scored.step for point in self.points]


@dataclass
class Evolved:
    """All that was read."""

    config: Config
    found: Found
    series: list[Series]

    @property
    def tasks(self) -> list[Task]:
        """Every (domain, task), sorted."""
        return sorted(self.series[0].points[0].means)

    def domains(self) -> dict[str, list[Task]]:
        """domain -> its tasks."""
        found: dict[str, list[Task]] = {}
        for task in self.tasks:
            found.setdefault(task[0], []).append(task)
        return found

    def weights(self, domain: str | None) -> tuple[list[Task], list[float]]:
        """Tasks and their weights: of a domain the mean over its tasks, of None the mean over
        domains."""
        parts = [tasks for name, tasks in self.domains().items() if domain in (None, name)]
        return [task for tasks in parts for task in tasks], [
            1 / len(tasks) / len(parts) for tasks in parts for _ in tasks
        ]


def read_point(scored: Scored, config: Config, found: Found) -> Point | None:
    """One checkpoint's scores; None, and named, if its evaluation left none."""
    out, told = Path(scored.folder), f"{scored.training}, {scored.checkpoint}"
    if not (out / "results.json").is_file():
        found.missing.append(f"{told}: {out} has no results.json: its evaluation is not done")
        return None
    _, document = read_results(out)
    path = out / "scores" / f"{scored.evaluated_as}.jsonl"
    if not path.is_file():
        raise ConfigError(
            f"{told}: {path} is not there, although its evaluation is done; evaluate it again"
        )
    behaviour: dict[Task, Behaviour] = {}
    scores = read_scores(path, config.metric, behaviour, found.missing, told)
    right = {
        (line["task"], line["item_id"], line["sample"]): line["value"] == 1.0
        for line in lines_of(path)
        if line["value"] is not None
    }
    for file in (out / "results.json", path):
        found.source("scores", file)
    found.settings.append((told, settings_of(document)))
    found.made_with.append(
        (
            told,
            {**document["facts"].get("versions", {}), "sandbox": document["facts"].get("sandbox")},
        )
    )
    for said in document["facts"].get("remarks", []):
        found.remarks.setdefault(said, []).append(told)
    return Point(scored, scores, behaviour, right)


def label_of(scored: Scored) -> str:
    """The training's axes, or the last part of its name."""
    return (
        ", ".join(f"{axis}={value}" for axis, value in scored.axes.items())
        or Path(scored.training).name
    )


def read_evolution(config: Config) -> Evolved:
    """Everything; ConfigError if nothing is scored, or if what is there cannot be compared."""
    found = Found(missing=list(config.pruned))
    points: dict[str, list[Point]] = {}
    for scored in config.points:
        point = read_point(scored, config, found)
        if point is not None:
            points.setdefault(scored.training, []).append(point)
    if not points:
        raise ConfigError("points: none of them is scored; nothing can be reported")
    check_settings(found)
    check_items(
        {
            name: {point.scored.checkpoint: point.scores for point in one}
            for name, one in points.items()
        },
        "",
    )
    series = [
        series_of(
            name,
            sorted(one, key=lambda point: (point.scored.step, point.scored.checkpoint)),
            config,
            found,
        )
        for name, one in points.items()
    ]
    return Evolved(config, found, series)


def series_of(name: str, points: list[Point], config: Config, found: Found) -> Series:
    """One training's checkpoints with the rewards of its rollouts."""
    first = points[0].scored
    for task in points[0].means:
        common = set.intersection(*(set(point.means[task]) for point in points))
        total = len(points[0].scores[task])
        if len(common) < total:
            found.missing.append(
                f"{name}: {task[1]}: {len(common)} of {total} problems have a score at "
                "every checkpoint"
            )
        for point in points:
            point.means[task] = {
                item: value for item, value in point.means[task].items() if item in common
            }
    rewards: list[tuple[int, float]] = []
    for source in config.trainings:
        if source.job == name:
            lines = [
                line for line in read_progress(Path(source.folder)) if REWARD in line["metrics"]
            ]
            rewards = [(line["step"], line["metrics"][REWARD]) for line in lines]
            if lines:
                found.source("curves", Path(source.folder) / "progress.jsonl")
    if not rewards:
        found.missing.append(
            f"{name}: no progress.jsonl has {REWARD}, so overfitting cannot be told from "
            "any other fall"
        )
    return Series(name, label_of(first), str(first.axes.get(config.axis, name)), points, rewards)


def values(
    point: Point, tasks: list[Task], keep: dict[Task, set[str]] | None = None
) -> list[Array]:
    """Per task the means of the problems (of those in ``keep``) that have a score."""
    return [
        np.array(
            [
                value
                for item, value in sorted(point.means[task].items())
                if keep is None or item in keep[task]
            ]
        )
        for task in tasks
    ]


def differences(
    before: Point, after: Point, tasks: list[Task], keep: dict[Task, set[str]] | None = None
) -> list[Array]:
    """Per task ``after`` minus ``before`` on the problems that both could score."""
    found = []
    for task in tasks:
        a, b = before.means[task], after.means[task]
        items = sorted(item for item in a.keys() & b.keys() if keep is None or item in keep[task])
        found.append(np.array([b[item] - a[item] for item in items]))
    return found
