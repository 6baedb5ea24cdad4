"""Questions as tokens, without writing a text.

In: a world and questions. Out: one table of tokens. Trainings and evaluations feed it to their
models. It is what ``write_question`` and ``write_answer`` of tasks.py give, character by character,
and a test compares the two.
"""

from __future__ import annotations

import numpy as np

from engines.shared.geography.cities.world import World
from engines.shared.geography.questions.rows import Array, Questions
from engines.shared.geography.tasks import ID_DIGITS, LONGEST_ANSWER, TASKS, write_question
from engines.shared.geography.vocabulary import BEGIN, END, NUMBER, PADDING, encode

LONGEST = 57
"""Tokens of the longest text, ``<bos>`` and ``<eos>`` counted: inside of five cities, FALSE."""
ZERO = NUMBER["0"]
BLOCK = 1 << 15


def tokens(world: World, questions: list[Questions]) -> tuple[Array, Array, Array]:
    """All questions, one after the other in the order given: ``<bos>`` text ``<eos>``, padded.

    Returns tokens (n, 57) uint8; lengths (n,) int16, ``<bos>`` and ``<eos>`` counted; and the place
    of the first token of the answer, the one behind ``=``, (n,) int16.
    """
    total = sum(len(one) for one in questions)
    table = np.full((total, LONGEST), PADDING, np.uint8)
    lengths, first_answers = np.zeros(total, np.int16), np.zeros(total, np.int16)
    id_tokens = digits_of(world.ids, ID_DIGITS)
    start = 0
    for one in questions:
        for low in range(0, len(one), BLOCK):
            block = one[slice(low, low + BLOCK)]
            rows = slice(start + low, start + low + len(block))
            write_block(block, id_tokens, (table[rows], lengths[rows], first_answers[rows]))
        start += len(one)
    return table, lengths, first_answers


def write_block(block: Questions, id_tokens: Array, into: tuple[Array, Array, Array]) -> None:
    """Fill some rows of table, lengths and places of the first answer token."""
    table, lengths, first_answers = into
    endings, ending_lengths = answer_tokens(block.task, block.answers)
    for count, rows in block.by_count():
        # Every question of so many cities has the same characters but for the digits of the ids.
        pattern = [BEGIN, *encode(write_question(block.task, [0] * count))]
        width = len(pattern)
        texts = np.full((len(rows), LONGEST), PADDING, np.uint8)
        texts[:, :width] = pattern
        for place, city in zip(id_places(block.task, count), block.cities[rows].T, strict=False):
            texts[:, place : place + ID_DIGITS] = id_tokens[city]
        texts[:, width : width + endings.shape[1]] = endings[rows][:, : LONGEST - width]
        table[rows] = texts
        lengths[rows] = width + ending_lengths[rows]
        first_answers[rows] = width


def id_places(task: str, count: int) -> list[int]:
    """Where the digits of each city's id begin in a text, ``<bos>`` counted."""
    text = write_question(task, [0] * count)
    return [1 + place + 2 for place in range(len(text)) if text.startswith("c_", place)]


def digits_of(numbers: Array, width: int) -> Array:
    """Tokens of the decimal digits, zeros in front: (n, width) uint8."""
    powers = 10 ** np.arange(width - 1, -1, -1, dtype=np.int32)
    return (numbers[:, None] // powers % 10 + ZERO).astype(np.uint8)


def answer_tokens(task: str, answers: Array) -> tuple[Array, Array]:
    """The answers with ``<eos>``, padded: (n, 8) uint8, and their lengths (n,) int16."""
    words = TASKS[task].words
    table = np.full((len(answers), LONGEST_ANSWER + 1), PADDING, np.uint8)
    if words is not None:
        known = np.full((len(words), LONGEST_ANSWER + 1), PADDING, np.uint8)
        for row, word in zip(known, words, strict=True):
            row[: len(word) + 1] = [*encode(word), END]
        table[:] = known[answers]
        return table, np.array([len(word) + 1 for word in words], np.int16)[answers]
    lengths = np.full(len(answers), 2, np.int16)
    for power in range(1, LONGEST_ANSWER):
        lengths += answers >= 10**power
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        table[rows, : length - 1] = digits_of(answers[rows], int(length) - 1)
        table[rows, length - 1] = END
    return table, lengths
