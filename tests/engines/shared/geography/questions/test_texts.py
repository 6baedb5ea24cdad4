"""Tokens made in bulk are those of the written texts."""

import numpy as np
import pytest

from engines.shared.geography.cities.world import World, make_world
from engines.shared.geography.questions.geometry import answers
from engines.shared.geography.questions.rows import Questions, pad
from engines.shared.geography.questions.texts import LONGEST, tokens
from engines.shared.geography.tasks import TASKS, read_answer, write_answer, write_question
from engines.shared.geography.vocabulary import BEGIN, END, PADDING, decode, encode

WORLD = make_world(5_446, 100, 42)

TOKENS = {
    "distance": (23, 25.35, 26),
    "trianglearea": (33, 37.33, 38),
    "angle": (31, 32.06, 33),
    "compass": (26, 26.32, 27),
    "inside": (42, 49.46, 57),
    "perimeter": (28, 41.31, 53),
    "crossing": (41, 41.50, 42),
}
"""Least, mean and most, ``<bos>`` and ``<eos>`` counted."""


def some(world: World, task: str, rows: int, seed: int = 0) -> list[Questions]:
    """Questions about random cities, as many for each number of cities."""
    random = np.random.default_rng(seed)
    kind = TASKS[task]
    made = []
    for count in range(kind.fewest, kind.most + 1):
        cities = random.permuted(np.tile(np.arange(len(world)), (rows, 1)), axis=1)[:, :count].T
        cities = np.ascontiguousarray(cities).astype(np.int32)
        found = answers(task, world.x, world.y, cities)
        made.append(Questions(task, pad(cities, kind.most), found))
    return made


def text_of(one: Questions, row: int) -> tuple[str, str]:
    cities = [int(WORLD.ids[city]) for city in one.cities[row] if city >= 0]
    return write_question(one.task, cities), write_answer(one.task, int(one.answers[row]))


@pytest.mark.parametrize("task", TASKS)
def test_tokens_are_those_of_the_written_text(task: str) -> None:
    questions = some(WORLD, task, 40)
    table, lengths, first_answers = tokens(WORLD, questions)
    assert (table.shape, table.dtype) == ((sum(map(len, questions)), LONGEST), np.uint8)
    row = 0
    for one in questions:
        for place in range(len(one)):
            question, answer = text_of(one, place)
            expected = [BEGIN, *encode(question + answer), END]
            assert table[row, : lengths[row]].tolist() == expected
            assert (table[row, lengths[row] :] == PADDING).all()
            assert first_answers[row] == 1 + len(question)
            told = decode(table[row, first_answers[row] :].tolist())
            assert read_answer(task, told) == one.answers[place]
            row += 1


def test_a_list_of_several_tasks_keeps_its_order() -> None:
    questions = some(WORLD, "perimeter", 5) + some(WORLD, "compass", 3)
    whole = tokens(WORLD, questions)
    apart = [tokens(WORLD, [one]) for one in questions]
    for column, joined in enumerate(whole):
        assert (joined == np.concatenate([one[column] for one in apart])).all()


@pytest.mark.parametrize("answer", [0, 9, 10, 99, 999_999, 1_000_000, 9_999_999])
def test_numbers_of_all_lengths(answer: int) -> None:
    one = Questions("trianglearea", np.array([[0, 1, 2]], np.int32), np.array([answer], np.int32))
    table, lengths, first = tokens(WORLD, [one])
    assert decode(table[0, first[0] :].tolist()) == str(answer)
    assert lengths[0] == first[0] + len(str(answer)) + 1


def test_no_questions_are_no_rows() -> None:
    assert [len(part) for part in tokens(WORLD, [])] == [0, 0, 0]


@pytest.mark.parametrize("task", TASKS)
def test_lengths_are_the_measured_ones(task: str) -> None:
    # Inside with as many TRUE as FALSE, as in a set: those two differ by a character.
    questions = some(make_world(5_446, 0, 42), task, 300)
    lengths = np.concatenate([tokens(WORLD, [one])[1] for one in questions]).astype(float)
    if task in ("inside", "crossing"):
        right = np.concatenate([one.answers for one in questions])
        lengths = lengths + right - 0.5
    least, mean, most = TOKENS[task]
    assert lengths.max() <= most
    assert lengths.min() >= least
    error = lengths.std(ddof=1) / np.sqrt(len(lengths))
    assert abs(lengths.mean() - mean) < 4 * error + 0.01
