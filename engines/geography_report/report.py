"""Puts together what the report says.

In: the config. Out: one ``Report``, from which every table, text, figure and row is made. Called by
``__main__``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.geography_report.answers import KNOWN, Answers, Learned, gather
from engines.geography_report.config import Config
from engines.geography_report.load import NEW_CITIES, SECOND_TASK, Inputs, Model, read_jobs
from engines.geography_report.similarity.compare import Similarity, compare
from engines.geography_report.standing import Standing, bases_of, learned_by, standings_of
from engines.geography_report.transfer.cells import (
    Cell,
    Summary,
    cells_of,
    difference,
    expected_of,
    improvements_of,
    summaries_of,
)
from engines.geography_report.transfer.improvement import (
    Chooser,
    Improvements,
    chosen_by_other_seeds,
    chosen_by_own_seed,
    chosen_by_test,
    improve,
)
from engines.geography_report.transfer.retention import Kept, Pair, kept_of
from engines.geography_report.transfer.scores import Trained
from engines.shared.geography.tasks import PUBLISHED_PAIRS, TASKS

CHOSEN, OWN, PUBLISHED = "validation of the other seeds", "own validation", "best on the test"
DEFINITIONS: dict[str, Chooser] = {
    CHOSEN: chosen_by_other_seeds,
    OWN: chosen_by_own_seed,
    PUBLISHED: chosen_by_test,
}
"""What chooses the specialist of a pair. Verdicts come from the first, which alone has no bias; the
last is the published definition."""


@dataclass(frozen=True)
class Matrix:
    """The cells of a matrix and the means over their kinds."""

    cells: list[Cell]
    summaries: list[Summary]

    @property
    def rows(self) -> list[Trained]:
        """What was trained, in order."""
        return list(dict.fromkeys(cell.trained for cell in self.cells))

    @property
    def tasks(self) -> list[str]:
        """What was asked, in order."""
        return list(dict.fromkeys(cell.task for cell in self.cells))


@dataclass(frozen=True)
class Transfer:
    """What fine-tuning on questions about new cities gave."""

    improvements: Improvements
    singles: Matrix | None
    """Models of one task; None if there is none."""
    pairs: Matrix | None
    """Models of two tasks."""
    expected: dict[str, Matrix]
    """By definition: what specialists let one expect of two tasks; empty without specialists."""
    gains: dict[str, Matrix]
    """By definition: actual minus expected; empty without models of two tasks."""


@dataclass(frozen=True)
class Report:
    """Everything the report says."""

    config: Config
    inputs: Inputs
    standings: list[Standing]
    transfer: Transfer | None
    kept: list[Kept]
    similarity: Similarity | None

    learned: Learned
    """By folder of a base and task: whether it has learned it."""

    @property
    def bases(self) -> list[Standing]:
        """The bases on what they were trained on, about the cities they know."""
        return [one for one in bases_of(self.standings) if one.task in one.model.trained]

    def has_learned(self, one: Standing) -> bool:
        """Whether a base has learned a task."""
        return self.learned[one.model.folder, one.task]

    @property
    def nothing_learned(self) -> bool:
        """Whether no base has learned any of its tasks."""
        return bool(self.bases) and not any(self.has_learned(one) for one in self.bases)


def make_report(config: Config) -> Report:
    """Read every input and compare."""
    inputs = read_jobs(config)
    standings = standings_of(inputs)
    learned = learned_by(bases_of(standings))
    answers = Answers(inputs, learned)
    return Report(
        config,
        inputs,
        standings,
        transfer_of(config, inputs, answers),
        kept_of(second_tasks(inputs, answers)),
        compare(inputs, config.layer),
        learned,
    )


def transfer_of(config: Config, inputs: Inputs, answers: Answers) -> Transfer | None:
    """Improvements and what was expected of them; None without a model that was fine-tuned on new
    cities and evaluated."""
    scores = gather(inputs, answers)
    if scores is None:
        if inputs.of(NEW_CITIES):
            inputs.missing.append("improvements: no fine-tuned model has answered a required test")
        return None
    improvements = improve(scores, config.seed, config.draws)
    singles = [row for row in scores.models if len(row) == 1]
    trained = [row for row in PUBLISHED_PAIRS if scores.place(row) is not None]
    # What is expected needs the two specialists alone.
    possible = [
        row for row in PUBLISHED_PAIRS if row in trained or all((one,) in singles for one in row)
    ]
    for row in scores.models:
        if len(row) > 2:
            tasks = "+".join(row)
            inputs.missing.append(f"{tasks}: models of more than two tasks are not compared")
    expected, gains = {}, {}
    actual = improvements_of(improvements, possible) if trained else None
    for name, choose in DEFINITIONS.items():
        if singles and possible:
            grid = expected_of(improvements, possible, choose)
            expected[name] = Matrix(cells_of(improvements, grid), summaries_of(improvements, grid))
            if actual is not None:
                gained = difference(actual, grid)
                gains[name] = Matrix(
                    cells_of(improvements, gained), summaries_of(improvements, gained)
                )
    return Transfer(
        improvements,
        matrix_of(improvements, singles),
        matrix_of(improvements, trained),
        expected,
        gains,
    )


def matrix_of(improvements: Improvements, rows: Sequence[Trained]) -> Matrix | None:
    """The improvements of some models; None for none."""
    if not rows:
        return None
    grid = improvements_of(improvements, rows)
    return Matrix(cells_of(improvements, grid), summaries_of(improvements, grid))


def second_tasks(inputs: Inputs, answers: Answers) -> list[Pair]:
    """Scores before and after the second task, by ordered pair, in the published order."""
    by_pair: dict[tuple[str, str], list[Model]] = {}
    for model in inputs.of(SECOND_TASK):
        if model.second_task is None:
            inputs.missing.append(
                f"{model.name}: neither about new cities nor one task after another"
            )
            continue
        by_pair.setdefault(model.second_task, []).append(model)
    pairs = []
    for first in TASKS:
        for second in TASKS:
            models = by_pair.get((first, second))
            pair = pair_of((first, second), models, inputs, answers) if models else None
            if pair is not None:
                pairs.append(pair)
    return pairs


def pair_of(
    tasks: tuple[str, str], models: Sequence[Model], inputs: Inputs, answers: Answers
) -> Pair | None:
    """One ordered pair over its seeds; None if no model of it was evaluated beside its base."""
    first, second = tasks
    before, after, learned, constants = [], [], [], []
    for model in models:
        name = f"{first}.{KNOWN}.test"
        old, new = answers.scores(model.base, name), answers.scores(model, name)
        if old is None or new is None:
            inputs.missing.append(f"{model.name}: it or its base has not answered {name}")
            continue
        before.append(old)
        after.append(new)
        learned.append(answers.learned(model.base, first))
        kind = "accuracy" if TASKS[first].higher_is_better else "error"
        finished = inputs.evaluations[model.folder]
        constant = finished.value(
            f"constant_{kind}", {"task": first, "cities": KNOWN, "split": "test"}
        )
        constants.append(float("nan") if constant is None else constant)
    if not before:
        return None
    return Pair(
        first,
        second,
        np.array(before),
        np.array(after),
        float(np.mean(constants)),
        np.array(learned),
        TASKS[first].higher_is_better,
    )
