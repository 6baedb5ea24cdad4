"""Scores and the best constant: the tables of geometry in the small, and what must not be said."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.geography_evaluation.scoring import (
    Answers,
    best_constant,
    is_ahead,
    lead,
    set_rows,
)
from engines.shared.geography.questions.written import NO_ANSWER
from engines.shared.geography.tasks import SECTORS, TASKS

Values = dict[str, float | None]


def answers(task: str, expected: list[int], given: list[int]) -> Answers:
    rows = np.arange(len(expected), dtype=np.int32)
    return Answers(task, rows, np.array(expected, np.int32), np.array(given, np.int32))


def values(one: Answers) -> Values:
    return {row.metric: row.value for row in set_rows(one, {"task": one.task})}


def test_a_table_of_known_answers_for_a_number() -> None:
    # Constant 20 (the median) is wrong by 10, 0, 70; the model by 5, failure, 0.
    one = answers("distance", [10, 20, 90], [15, NO_ANSWER, 90])
    assert one.score.tolist() == [5, TASKS["distance"].failure, 0]
    found = values(one)
    assert found["answer_error"] == 2.5
    assert found["answer_error_with_failures"] == pytest.approx((5 + 4024.9224) / 3)
    assert found["failed_share"] == pytest.approx(1 / 3)
    assert found["constant_error"] == pytest.approx(80 / 3)
    assert found["lead_over_constant"] == pytest.approx((5 - 4024.9224 + 70) / 3)
    assert found["beats_constant"] == 0
    assert "answer_accuracy" not in found


def test_a_table_of_known_answers_for_a_word() -> None:
    east, north, west = (SECTORS.index(word) for word in ("E", "N", "W"))
    one = answers("compass", [east, east, north, west], [east, west, NO_ANSWER, west])
    assert one.score.tolist() == [1, 0, 0, 1]
    found = values(one)
    assert found["answer_accuracy"] == pytest.approx(2 / 3)
    assert found["answer_accuracy_with_failures"] == 0.5
    assert found["constant_accuracy"] == 0.5
    assert found["lead_over_constant"] == 0
    assert found["beats_constant"] == 0


@settings(max_examples=50, deadline=None)
@given(
    expected=st.lists(st.integers(0, 40), min_size=1, max_size=30),
    task=st.sampled_from(["distance", "compass"]),
)
def test_no_constant_is_better_than_the_best_one(expected: list[int], task: str) -> None:
    if task == "compass":
        expected = [value % 8 for value in expected]
    truth = np.array(expected, np.int32)

    def score(constant: int) -> float:
        one = Answers(task, truth, truth, np.full_like(truth, constant))
        return float(one.score.mean()) * (-1 if task == "distance" else 1)

    best = best_constant(task, truth)
    assert score(best) == max(score(constant) for constant in range(41))
    # Answering the constant leads by nothing, whatever the task's direction.
    assert not lead(Answers(task, truth, truth, np.full_like(truth, best))).any()


def test_what_is_learned_beats_the_constant_and_what_is_not_does_not() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 3000, 2000)
    near = np.clip(truth + random.integers(-50, 50, 2000), 0, None)
    other = random.permutation(truth)
    assert values(answers("distance", truth.tolist(), near.tolist()))["beats_constant"] == 1
    found = values(answers("distance", truth.tolist(), other.tolist()))
    assert found["beats_constant"] == 0
    # Random answers of the right distribution are worse than the constant, not as good.
    lead_over = found["lead_over_constant"]
    assert lead_over is not None
    assert lead_over < 0


def test_equal_answers_beat_nothing_in_all_but_one_of_forty_repeats() -> None:
    """The interval is two-sided with 95 %: its lower end exceeds a lead of 0 in 2.5 % of repeats."""
    random = np.random.default_rng(1)
    ahead = [is_ahead(random.normal(size=200)) for _ in range(1000)]
    assert 0.01 < np.mean(ahead) < 0.045
    assert not is_ahead(np.array([5.0]))


def test_when_nothing_can_be_read_there_is_a_reason_and_no_number() -> None:
    rows = {row.metric: row for row in set_rows(answers("angle", [3, 5], [-1, -1]), {})}
    assert rows["answer_error"].value is None
    assert rows["answer_error"].error == "none of 2 answers could be read"
    assert rows["answer_error_with_failures"].value == 180
    assert rows["failed_share"].value == 1
