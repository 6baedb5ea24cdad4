"""The answers that evaluations kept, put into arrays that share their questions.

In: what the jobs left. Out: ``Scores`` of the models that were fine-tuned on new cities, and scores
of two models side by side. Called by report.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engines.contract.config import ConfigError
from engines.geography_report.load import (
    NEW_CITIES,
    Finished,
    Inputs,
    Model,
)
from engines.geography_report.transfer.scores import Scores, TaskScores, Trained
from engines.shared.geography.tasks import PUBLISHED_PAIRS, TASKS
from engines.shared.reporting.statistics import Array

NEW, KNOWN = "atlantis_required", "no_atlantis"
"""Questions about new cities, and about those that bases know."""
Learned = Mapping[tuple[str, str], bool]
"""By folder of a base and task: whether it has learned it."""


@dataclass(frozen=True)
class Answered:
    """One set as one model answered it."""

    job: str
    questions: Array
    """(questions, 2): place in the set, and the right answer."""
    scores: Array
    """(questions,): absolute error, or 1 and 0; the failure value where it cannot be read."""


class Answers:
    """The answers of all evaluations, read when they are asked for. All models must have answered
    the same questions."""

    def __init__(self, inputs: Inputs, learned: Learned) -> None:
        self._evaluations = inputs.evaluations
        self._learned = learned
        self._first: dict[str, Answered] = {}

    def scores(self, model: Model | None, name: str) -> Array | None:
        """Scores of a model on the set ``<task>.<cities>.<split>``; None if it was not evaluated on
        it. ConfigError if its questions are not those of the other models."""
        finished = self._evaluations.get(model.folder) if model else None
        if finished is None:
            return None
        answered = read_answered(finished, name)
        if answered is None:
            return None
        first = self._first.setdefault(name, answered)
        if not np.array_equal(first.questions, answered.questions):
            raise ConfigError(
                f"{answered.job} answered other questions of {name} than {first.job}: models are "
                "compared question by question; evaluate them on one data folder with one 'rows'"
            )
        return answered.scores

    def learned(self, base: Model | None, task: str) -> float:
        """1 if a base has learned a task, 0 if not, NaN if it was not asked."""
        found = self._learned.get((base.folder, task)) if base else None
        return float("nan") if found is None else float(found)


def read_answered(finished: Finished, name: str) -> Answered | None:
    """One set of one evaluation; None if it is not there."""
    path = finished.out / "items" / f"{name}.npz"
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as kept:
        questions = np.stack([kept["row"], kept["expected"]], axis=1).astype(np.float64)
        return Answered(finished.job, questions, kept["score"].astype(np.float64))


def gather(inputs: Inputs, answers: Answers) -> Scores | None:
    """Scores of all models that were fine-tuned on new cities; None if there is none."""
    by_place = {(one.trained, one.seed): one for one in unique(inputs.of(NEW_CITIES))}
    if not by_place:
        return None
    seeds = sorted({seed for _, seed in by_place})
    rows = rows_of({trained for trained, _ in by_place})
    models = [[by_place.get((tuple_of(row), seed)) for seed in seeds] for row in rows]
    bases = [base_of([line[place] for line in models], seed) for place, seed in enumerate(seeds)]
    tasks = {}
    for task in TASKS:
        found = of_task(task, models, bases, answers)
        if found is not None:
            tasks[task] = found
    return Scores(rows, seeds, tasks) if tasks else None


def rows_of(trained: set[Trained]) -> list[Trained]:
    """What was trained, in the published order: single tasks, pairs, and whatever else."""
    known = [*((task,) for task in TASKS), *PUBLISHED_PAIRS]
    rows: list[Trained] = [row for row in known if tuple_of(row) in trained]
    return [
        *rows,
        *sorted(trained - {tuple_of(row) for row in rows}, key=lambda one: (len(one), one)),
    ]


def tuple_of(row: Sequence[str]) -> Trained:
    """The same tasks in the order of their numbers."""
    return tuple(task for task in TASKS if task in row)


def unique(models: Sequence[Model]) -> list[Model]:
    """The models; ConfigError if two of them were trained on the same tasks with the same seed."""
    seen: dict[tuple[Trained, int], Model] = {}
    for model in models:
        other = seen.setdefault((model.trained, model.seed), model)
        if other is not model:
            raise ConfigError(
                f"{other.folder} and {model.folder} are both trained on {model.name}: a report is "
                "on one model each; give other settings a report of their own"
            )
    return list(seen.values())


def base_of(models: Sequence[Model | None], seed: int) -> Model | None:
    """The base of the models of one seed; ConfigError if they have several."""
    bases = {model.base.folder: model.base for model in models if model and model.base}
    if len(bases) > 1:
        raise ConfigError(
            f"the models of seed {seed} start from several bases ({', '.join(sorted(bases))}): "
            "what they gained cannot be compared"
        )
    return next(iter(bases.values()), None)


def of_task(
    task: str,
    models: Sequence[Sequence[Model | None]],
    bases: Sequence[Model | None],
    answers: Answers,
) -> TaskScores | None:
    """All scores on one task; None if no model was asked."""
    after = stacked([[answers.scores(one, f"{task}.{NEW}.test") for one in row] for row in models])
    if after is None:
        return None
    before = stacked([[answers.scores(base, f"{task}.{NEW}.test") for base in bases]])
    goal = stacked([[answers.scores(base, f"{task}.{KNOWN}.test") for base in bases]])
    validation = stacked(
        [[answers.scores(one, f"{task}.{NEW}.validation") for one in row] for row in models]
    )
    nothing = np.full((len(bases), after.shape[2]), np.nan)
    return TaskScores(
        higher_is_better=TASKS[task].higher_is_better,
        after=after,
        before=nothing if before is None else before[0],
        goal=nothing if goal is None else goal[0],
        validation=after[:, :, 0] * np.nan if validation is None else validation.mean(axis=2),
        learned=np.array([answers.learned(base, task) for base in bases]),
    )


def stacked(scores: Sequence[Sequence[Array | None]]) -> Array | None:
    """(rows, columns, questions), NaN for what is not there; None if nothing is."""
    there = [one for row in scores for one in row if one is not None]
    if not there:
        return None
    nothing = np.full(len(there[0]), np.nan)
    return np.array([[nothing if one is None else one for one in row] for row in scores])
