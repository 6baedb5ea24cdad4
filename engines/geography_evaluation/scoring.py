"""How good answers are, beside the best constant answer on the same rows.

In: expected and given answers of one set. Out: a score per row, and rows of ``results.json``. The
engine's last step; tests call it directly.

A small mean error alone says little: always answering 800 is wrong by 470 on distance, and always E
is right in 30 % of compass. The constant is the best one on the very rows that are judged, which
favours it a little: what is said to beat it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.contract.results import Row
from engines.shared.geography.questions.written import NO_ANSWER
from engines.shared.geography.tasks import TASKS
from engines.shared.reporting.statistics import standard_error, t_quantile

Array = np.ndarray[Any, np.dtype[Any]]
Axes = dict[str, str | int | float | bool]


@dataclass(frozen=True)
class Answers:
    """What a model answered to n questions of one task."""

    task: str
    row: Array
    """Place of each question in its set, (n,) int32."""
    expected: Array
    """(n,) int32."""
    answer: Array
    """(n,) int32: a number, a place in ``Task.words``, or -1."""

    @property
    def valid(self) -> Array:
        """Whether the answer could be read, (n,) bool."""
        valid: Array = self.answer != NO_ANSWER
        return valid

    @property
    def score(self) -> Array:
        """Absolute error, or 1 for the right word and 0 for another; the task's failure value where
        there is no answer. (n,) float64."""
        failure = TASKS[self.task].failure
        score: Array = np.where(self.valid, scores(self.task, self.expected, self.answer), failure)
        return score

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, places: Array) -> Answers:
        return Answers(self.task, self.row[places], self.expected[places], self.answer[places])


def scores(task: str, expected: Array, answer: Array | int) -> Array:
    """Score of each readable answer: absolute error of a number, 1 or 0 for a word; float64."""
    if TASKS[task].words is None:
        apart: Array = np.abs(expected.astype(np.float64) - answer)
        return apart
    right: Array = (expected == answer).astype(np.float64)
    return right


def best_constant(task: str, expected: Array) -> int:
    """The one answer with the best score over these rows: the median (the lower of two), or the
    most frequent word (of equals the first)."""
    if TASKS[task].words is None:
        # Between the two middle values every answer is equally good.
        return int(np.sort(expected)[(len(expected) - 1) // 2])
    return int(np.bincount(expected).argmax())


def lead(answers: Answers) -> Array:
    """How much better each row's score is than that of the best constant, failures counted; above 0
    is better. (n,) float64."""
    constant = best_constant(answers.task, answers.expected)
    apart: Array = answers.score - scores(answers.task, answers.expected, constant)
    return apart if TASKS[answers.task].higher_is_better else -apart


def is_ahead(leads: Array) -> bool:
    """Whether the 95 % interval (Student's t, paired by row) of the mean lead lies above 0."""
    error = standard_error(leads)
    # A single row has no interval.
    if error is None:
        return False
    return float(leads.mean()) - t_quantile(len(leads) - 1) * error > 0


def set_rows(answers: Answers, axes: Axes) -> list[Row]:
    """The rows of one task of one set; ``axes`` tell it apart."""
    kind = "accuracy" if TASKS[answers.task].higher_is_better else "error"
    constant = best_constant(answers.task, answers.expected)
    leads = lead(answers)
    readable = answers.score[answers.valid]
    if len(readable):
        first = mean_row(f"answer_{kind}", readable, axes)
    else:
        first = Row(
            metric=f"answer_{kind}",
            value=None,
            n=0,
            axes=axes,
            error=f"none of {len(answers)} answers could be read",
        )
    return [
        first,
        mean_row(f"answer_{kind}_with_failures", answers.score, axes),
        mean_row("failed_share", (~answers.valid).astype(np.float64), axes),
        mean_row(f"constant_{kind}", scores(answers.task, answers.expected, constant), axes),
        mean_row("lead_over_constant", leads, axes),
        beats_row(leads, axes),
    ]


def mean_row(metric: str, values: Array, axes: Axes) -> Row:
    """A mean over questions with its standard error."""
    return Row(
        metric=metric,
        value=float(values.mean()),
        n=len(values),
        spread=standard_error(values),
        axes=axes,
    )


def beats_row(leads: Array, axes: Axes) -> Row:
    """1 or 0; what gates ask."""
    return Row(metric="beats_constant", value=float(is_ahead(leads)), n=len(leads), axes=axes)
