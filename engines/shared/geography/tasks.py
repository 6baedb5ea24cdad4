"""The seven tasks: their names and numbers, how a question is written, and how an answer is judged.

Light on purpose (no numpy, no torch): the login node checks configs with it. A question is a text
such as ``dist(c_0865,c_4879)=769``; the model sees it one character a token, between ``<bos>`` and
``<eos>``. Distances are in tenths of a degree on a plane, not in kilometres.

Source: the data of Park 2025, "Convergent World Representations and Divergent Tasks"
(arXiv 2602.00533).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

TaskName = Literal[
    "distance", "trianglearea", "angle", "compass", "inside", "perimeter", "crossing"
]
"""In the order of their published numbers, 1 to 7."""

SECTORS = ("E", "NE", "N", "NW", "W", "SW", "S", "SE")
"""Answers of compass, counter-clockwise from the east, each 45 degrees wide and centred."""
TRUTH = ("FALSE", "TRUE")


@dataclass(frozen=True)
class Task:
    """One kind of question."""

    name: TaskName
    prefix: str
    """What a question begins with, in front of the bracket."""
    fewest: int
    most: int
    """Cities in a question; all of them are different."""
    words: tuple[str, ...] | None
    """The possible answers, whose numbers are their places here; None: a whole number."""
    failure: float
    """The score of an answer that cannot be read: an absolute error, or 0 for a wrong word."""
    unit: str
    """Unit of the absolute error."""

    @property
    def number(self) -> int:
        """The published number, from 1."""
        return get_args(TaskName).index(self.name) + 1

    @property
    def higher_is_better(self) -> bool:
        """Accuracy for words; for numbers the absolute error, which is to be small."""
        return self.words is not None


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("distance", "dist", 2, 2, None, math.hypot(3600, 1800), "0.1 degree"),
        Task("trianglearea", "triarea", 3, 3, None, 3_240_000, "0.01 square degree"),
        Task("angle", "angle", 3, 3, None, 180, "degree"),
        Task("compass", "compass", 2, 2, SECTORS, 0, "share"),
        Task("inside", "inside", 4, 6, TRUTH, 0, "share"),
        Task("perimeter", "perimeter", 2, 5, None, 20_000, "0.1 degree"),
        Task("crossing", "cross", 4, 4, TRUTH, 0, "share"),
    )
}
"""By name, in the published order."""

SEPARATORS = {"inside": (1, ";"), "crossing": (2, ";")}
"""Task -> how many cities stand in front of a semicolon, where the others have commas alone."""

PUBLISHED_PAIRS: tuple[tuple[TaskName, TaskName], ...] = (
    ("distance", "trianglearea"),
    ("angle", "compass"),
    ("inside", "perimeter"),
    ("crossing", "distance"),
    ("trianglearea", "angle"),
    ("compass", "inside"),
    ("perimeter", "crossing"),
    ("angle", "distance"),
    ("compass", "trianglearea"),
    ("angle", "inside"),
    ("compass", "perimeter"),
    ("crossing", "inside"),
    ("distance", "perimeter"),
    ("crossing", "trianglearea"),
    ("compass", "distance"),
    ("inside", "trianglearea"),
    ("angle", "perimeter"),
    ("compass", "crossing"),
    ("distance", "inside"),
    ("perimeter", "trianglearea"),
    ("angle", "crossing"),
)
"""The pairs of ftwb2-1 to ftwb2-21, in the published order."""

ID_DIGITS = 4
"""Digits of a city's id in a text, with zeros in front."""
LONGEST_ANSWER = 7
"""Characters of the longest answer; one more token ends the text."""
NEW_TOKENS = LONGEST_ANSWER + 1


def write_question(task: str, ids: list[int]) -> str:
    """``dist(c_0865,c_4879)=``: the text in front of the answer, of cities by their ids."""
    kind = TASKS[task]
    names = [f"c_{number:0{ID_DIGITS}d}" for number in ids]
    if task not in SEPARATORS:
        return f"{kind.prefix}({','.join(names)})="
    ahead, sign = SEPARATORS[task]
    return f"{kind.prefix}({','.join(names[:ahead])}{sign}{','.join(names[ahead:])})="


def write_answer(task: str, value: int) -> str:
    """An answer as text: a number without zeros in front, or a word."""
    words = TASKS[task].words
    return str(value) if words is None else words[value]


def read_answer(task: str, text: str) -> int | None:
    """The answer that a model wrote behind ``=``; None if it is none.

    The whole text up to its end must be the answer: a number of at most seven digits, or one of the
    task's words. Nothing is searched for inside other text.
    """
    words = TASKS[task].words
    if words is not None:
        return words.index(text) if text in words else None
    if text.isascii() and text.isdigit() and len(text) <= LONGEST_ANSWER:
        return int(text)
    return None
