"""The normalised improvement of every model on every task, and its draws.

In: ``Scores``. Out: ``Improvements``. Called by report.py; cells.py compares them.

An improvement is undefined where its denominator is not clear of 0 by the 95 % interval over
questions (percentiles of the draws), and where the base is not better than the best constant answer
on the cities it knows: it has learned nothing that could be carried over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engines.geography_report.transfer.normalise import improvement, span
from engines.geography_report.transfer.scores import Scores, TaskScores, Trained, means
from engines.shared.reporting.seeds import drawn_means
from engines.shared.reporting.statistics import Array

DEFINED, NOT_LEARNED, NOT_CLEAR, NOT_EVALUATED = (
    "defined",
    "base not above its constant",
    "denominator not clear of 0",
    "base not evaluated",
)
"""Whether an improvement has a value, and why not."""


@dataclass(frozen=True)
class Improvements:
    """Normalised improvements of models on tasks; NaN where undefined or not evaluated."""

    scores: Scores
    tasks: list[str]
    values: Array
    """(models, seeds, tasks)."""
    draws: Array
    """(draws, models, seeds, tasks): the same with questions drawn anew."""
    states: list[list[str]]
    """Per seed and task: whether the base allows a value, or why not."""

    @property
    def models(self) -> list[Trained]:
        """What was trained."""
        return self.scores.models

    def undefined(self, state: str) -> int:
        """How many pairs of seed and task are undefined for a reason."""
        return sum(one == state for row in self.states for one in row)


def improve(scores: Scores, seed: int, draws: int) -> Improvements:
    """Normalise every score, and again in every draw of the questions."""
    values, drawn, states = [], [], []
    for number, task in enumerate(scores.tasks.values()):
        # A generator per task: one task more or less changes no other task's draws.
        random = np.random.default_rng([seed, number])
        of_task, of_draws, states_of_seeds = improve_task(task, random, draws)
        values.append(of_task)
        drawn.append(of_draws)
        states.append(states_of_seeds)
    by_seed = [list(row) for row in zip(*states, strict=True)]
    return Improvements(
        scores, list(scores.tasks), np.stack(values, -1), np.stack(drawn, -1), by_seed
    )


def improve_task(
    task: TaskScores, random: np.random.Generator, draws: int
) -> tuple[Array, Array, list[str]]:
    """Improvements on one task (models, seeds), their draws (draws, models, seeds), and per seed
    whether there are any."""
    models, seeds, questions = task.after.shape
    # Base and fine-tuned models answer the same questions, so one draw serves all of them.
    together = np.concatenate([task.after.reshape(-1, questions), task.before])
    drawn = drawn_means(together, random, draws)
    after = drawn[:, : models * seeds].reshape(draws, models, seeds)
    before = drawn[:, models * seeds :]
    goal = drawn_means(task.goal, random, draws)
    states = states_of(task, span(before, goal, task.higher_is_better))
    usable = np.where([state == DEFINED for state in states], 1.0, np.nan)
    values = improvement(
        means(task.after), means(task.before), means(task.goal), task.higher_is_better
    )
    of_draws = improvement(after, before[:, None], goal[:, None], task.higher_is_better)
    return values * usable, of_draws * usable, states


def states_of(task: TaskScores, spans: Array) -> list[str]:
    """Per seed whether the base allows a value; ``spans`` are the draws of the denominator (draws,
    seeds)."""
    states = []
    for place, learned in enumerate(task.learned):
        if np.isnan(spans[:, place]).any() or np.isnan(learned):
            states.append(NOT_EVALUATED)
        elif not learned:
            states.append(NOT_LEARNED)
        elif np.quantile(spans[:, place], 0.025) <= 0:
            states.append(NOT_CLEAR)
        else:
            states.append(DEFINED)
    return states


Chooser = Callable[[Improvements, int, int], Array]
"""Of two models' places: which one is the specialist, 0 or 1, per seed and task."""


def chosen_by_other_seeds(improvements: Improvements, first: int, second: int) -> Array:
    """The specialist by validation questions that the models of the *other* seeds answered.

    What a model scores on test questions differs from its fellow's by the luck of its run too, and
    its own validation questions would see the same luck: only other runs say which task's
    specialist is better. With one seed there are no others, and its own questions decide.
    """
    return chosen_by_validation(improvements, first, second, others=True)


def chosen_by_own_seed(improvements: Improvements, first: int, second: int) -> Array:
    """The specialist by the validation questions that the same two models answered."""
    return chosen_by_validation(improvements, first, second, others=False)


def chosen_by_validation(
    improvements: Improvements, first: int, second: int, others: bool
) -> Array:
    """The better of two models by their mean validation scores over seeds; the first of equals."""
    seeds = len(improvements.scores.seeds)
    choice = np.zeros((seeds, len(improvements.tasks)))
    for place, task in enumerate(improvements.scores.tasks.values()):
        lead = task.validation[second] - task.validation[first]
        lead = lead if task.higher_is_better else -lead
        for seed in range(seeds):
            judges = lead[[seed]]
            if others and seeds > 1:
                judges = np.delete(lead, seed)
            known = judges[~np.isnan(judges)]
            choice[seed, place] = np.nan if len(known) == 0 else float(known.mean() > 0)
    return choice


def chosen_by_test(improvements: Improvements, first: int, second: int) -> Array:
    """The published definition: whichever of the two is better on the test questions themselves.

    Of two equal specialists with the standard deviation s between runs it expects 0.564 s too much,
    the mean of the larger of two normal variables.
    """
    values = improvements.values
    choice = (values[second] > values[first]).astype(np.float64)
    return np.where(np.isnan(values[first] + values[second]), np.nan, choice)
