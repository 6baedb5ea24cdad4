"""Rows of a user's own JSON-lines file: a question and its right answer.

In: the rows of a ``.jsonl`` file, gzipped or not, or of a JSON list. Out: problems. A row is either

    {"question": "How much is 2 + 2?", "answer": "4"}

with, where wanted, ``data_source`` (else the task's name in a config, or the beginning of the
file's) and parts of any other name, which the scorer gets as ``extra_info``, the question too; or
it has the columns of a GURU parquet file. ``problem_files.py`` reads files with it, and checks the
right answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines.shared.data.literals import chat_messages, named
from engines.shared.data.problems import Problem, make_problem, user

ENDINGS = (".jsonl", ".jsonl.gz", ".json")
"""Files that are read in this way, unless their name is that of a published benchmark."""
QUESTION, ANSWER, SOURCE = "question", "answer", "data_source"
GURU = "reward_model"
"""A part that only rows with GURU's columns have."""
MOST_NAMED = 8
"""Parts of a row that a message names."""


def source_of(path: Path) -> str:
    """What the rows of a file are called whose rows do not say it: ``sums`` for
    ``sums.train.jsonl``."""
    return path.name.partition(".")[0]


def own_problem(row: dict[str, Any], source: str) -> Problem:
    """The problem of a row. ValueError if it has no question, or no answer."""
    for part in (QUESTION, ANSWER):
        if part not in row:
            there = ", ".join(list(row)[:MOST_NAMED]) or "nothing"
            raise ValueError(f"has no {part}, but {there}")
    given = row[QUESTION]
    # Text is a question as it stands; whoever writes JSON can write messages as messages.
    prompt = chat_messages(given) if isinstance(given, list) else user(named(given, QUESTION))
    about = {key: value for key, value in row.items() if key not in (ANSWER, SOURCE)}
    return make_problem(
        named(row.get(SOURCE, source), SOURCE), prompt, row[ANSWER], extra_info=about
    )
