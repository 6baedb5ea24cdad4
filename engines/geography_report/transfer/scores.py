"""Scores of the models of one experiment, task by task, as arrays that share their questions.

In: nothing; ``load.py`` and the tests fill it. Out: ``Scores``. Used by all of this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engines.shared.reporting.statistics import Array

Trained = tuple[str, ...]
"""The tasks that a model was fine-tuned on."""


@dataclass(frozen=True)
class TaskScores:
    """All models' scores on one task: absolute errors, or 1 and 0 for right and wrong; answers that
    cannot be read have the task's failure value. NaN where a model was not evaluated."""

    higher_is_better: bool
    after: Array
    """(models, seeds, questions): fine-tuned models on test questions about new cities."""
    before: Array
    """(seeds, questions): the bases on the same questions."""
    goal: Array
    """(seeds, other questions): the bases on test questions about the cities they know."""
    validation: Array
    """(models, seeds): mean scores of the fine-tuned models on validation questions about new
    cities."""
    learned: Array
    """(seeds,): 1 where the base beats the best constant answer on the cities it knows, else 0."""


@dataclass(frozen=True)
class Scores:
    """Everything that improvements are computed from."""

    models: list[Trained]
    """What was trained, each with one model per seed."""
    seeds: list[int]
    tasks: dict[str, TaskScores] = field(default_factory=dict)
    """By the task that is asked."""

    def place(self, trained: Sequence[str]) -> int | None:
        """Where a set of trained tasks stands among the models, whatever its order; None if no such
        model was trained."""
        for place, model in enumerate(self.models):
            if set(model) == set(trained):
                return place
        return None


def means(scores: Array) -> Array:
    """Mean over questions, the last axis; NaN for a model that was not evaluated."""
    return np.asarray(scores.mean(axis=-1))
