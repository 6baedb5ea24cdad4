"""What a model wrote behind a question, as answers.

In: tokens, up to the end of the text. Out: numbers or places in ``Task.words``. Evaluations and the
causal check call it.
"""

from __future__ import annotations

import numpy as np

from engines.shared.geography.questions.rows import Array
from engines.shared.geography.tasks import read_answer
from engines.shared.geography.vocabulary import END, decode

NO_ANSWER = -1
"""Stands for an answer that cannot be read."""


def read_written(task: str, written: Array) -> Array:
    """Answers (n,) int32 from tokens (n, 8) behind ``=``; -1 where they are none."""
    different, which = np.unique(written, axis=0, return_inverse=True)
    read = np.full(len(different), NO_ANSWER, np.int32)
    for place, row in enumerate(different.tolist()):
        text = decode(row)
        # A text that did not end, or in padding that the model wrote itself, is no answer.
        if END not in row or row.index(END) != len(text):
            continue
        value = read_answer(task, text)
        if value is not None:
            read[place] = value
    answers: Array = read[which.reshape(-1)]
    return answers
