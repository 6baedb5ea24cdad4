"""Scores of fine-tuned models with a known normalised improvement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engines.geography_report.transfer.scores import Scores, TaskScores, Trained
from engines.shared.geography.tasks import PUBLISHED_PAIRS, TASKS

Array = np.ndarray[Any, np.dtype[np.float64]]
BEFORE, GOAL = {True: 0.3, False: 400.0}, {True: 0.8, False: 100.0}
"""Scores of the base on new and on known cities, by whether higher is better."""
SINGLES: list[Trained] = [(task,) for task in TASKS]
MODELS: list[Trained] = [*SINGLES, *PUBLISHED_PAIRS]


def scores_of(
    reached: Callable[[Trained, int, str], float],
    seeds: int = 3,
    models: Sequence[Trained] = tuple(MODELS),
    noise: float = 0.0,
    questions: int = 4,
    random: np.random.Generator | None = None,
) -> Scores:
    """Scores whose normalised improvement is what ``reached`` says of a model, a seed and a task.

    ``noise``: relative deviation of the score of a single question; validation has as many.
    """
    random = random or np.random.default_rng(0)
    tasks = {}
    for name, task in TASKS.items():
        higher = task.higher_is_better
        before, goal = BEFORE[higher], GOAL[higher]
        share = np.array([[reached(one, seed, name) for seed in range(seeds)] for one in models])
        line, power = before + share * (goal - before), before * (goal / before) ** share
        means = line if higher else power

        def asked(means: Array, scale: float = before) -> Array:
            apart = random.standard_normal((*means.shape, questions))
            return np.asarray(means[..., None] + noise * scale * apart)

        tasks[name] = TaskScores(
            higher_is_better=higher,
            after=asked(means),
            before=asked(np.full(seeds, before)),
            goal=asked(np.full(seeds, goal)),
            validation=asked(means).mean(axis=-1),
            learned=np.ones(seeds),
        )
    return Scores(list(models), list(range(seeds)), tasks)
