"""What a set of questions can be answered with without knowing a city: its best constant answer,
and how its answers are spread.

In: questions. Out: numbers for manifests, results, and the baseline beside every score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.shared.geography.cities.world import World
from engines.shared.geography.questions.rows import Array, Questions
from engines.shared.geography.tasks import TASKS, write_answer


@dataclass(frozen=True)
class Constant:
    """The one answer that does best on some rows when it is always given."""

    answer: int
    """A number, or the place in ``Task.words``."""
    score: float
    """Its mean absolute error in the task's unit, or the share of rows that it gets right."""
    spread: float
    """Standard error of the score over the rows; nan for a single one."""


def best_constant(task: str, expected: Array) -> Constant:
    """The median, which has the smallest mean absolute error, or the most frequent word.

    ``expected`` (n,), n at least 1. Of an even number of rows the smaller one of the two in the
    middle: all between them are equally good, and an answer is an integer.
    """
    words = TASKS[task].words
    count = len(expected)
    if words is None:
        answer = int(np.partition(expected, (count - 1) // 2)[(count - 1) // 2])
        scores = np.abs(expected.astype(np.int64) - answer).astype(np.float64)
    else:
        answer = int(np.bincount(expected, minlength=len(words)).argmax())
        scores = (expected == answer).astype(np.float64)
    spread = float("nan")
    if count > 1:
        spread = float(scores.std(ddof=1) / np.sqrt(count))
    return Constant(answer, float(scores.mean()), spread)


def describe(world: World, questions: Questions) -> dict[str, Any]:
    """Rows, best constant and spread of the answers, as JSON values; also by the number of cities
    where the task has several, and there by the origin of the city that is asked about."""
    task = TASKS[questions.task]
    described = describe_answers(task.name, questions.answers)
    if task.fewest < task.most:
        described["by_cities"] = {
            str(count): describe_answers(task.name, questions.answers[rows])
            for count, rows in questions.by_count()
        }
    if task.name == "inside":
        described["by_cities_and_target"] = {
            f"{count}, {origin}": describe_answers(task.name, questions.answers[rows[of_origin]])
            for count, rows in questions.by_count()
            for origin, of_origin in origins(world, questions.cities[rows, 0])
        }
    return described


def origins(world: World, targets: Array) -> list[tuple[str, Array]]:
    """Which of some cities are real and which of Atlantis, those that there are."""
    of_atlantis = world.atlantis[targets]
    both = [("real", ~of_atlantis), ("atlantis", of_atlantis)]
    return [(name, rows) for name, rows in both if rows.any()]


def describe_answers(task: str, expected: Array) -> dict[str, Any]:
    """Rows, best constant, and how often each word or each number of digits is the answer."""
    constant = best_constant(task, expected)
    words = TASKS[task].words
    described: dict[str, Any] = {
        "rows": len(expected),
        "best_constant": {"answer": write_answer(task, constant.answer), "score": constant.score},
    }
    if words is not None:
        counts = np.bincount(expected, minlength=len(words)).tolist()
        described["answers"] = dict(zip(words, counts, strict=True))
    else:
        digits = sum((expected >= 10**power).astype(np.int64) for power in range(1, 7)) + 1
        values, counts = np.unique(digits, return_counts=True)
        described["digits"] = {str(v): int(n) for v, n in zip(values, counts, strict=True)}
    return described
