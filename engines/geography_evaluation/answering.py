"""A model answers questions: greedy, prompts of one length together, at most eight new tokens.

In: a model and questions. Out: their answers as numbers, unreadable ones as -1.
"""

from __future__ import annotations

import numpy as np
import torch

from engines.contract.program import Interrupted, Stop
from engines.shared.geography.cities.world import World
from engines.shared.geography.description import Shape
from engines.shared.geography.network.generate import greedy
from engines.shared.geography.network.model import Parameters
from engines.shared.geography.questions.rows import Array
from engines.shared.geography.questions.store import Questions, tokens
from engines.shared.geography.questions.written import NO_ANSWER, read_written

AT_ONCE = 4096
"""Prompts between two looks at whether to stop."""


def answer(
    parameters: Parameters, shape: Shape, world: World, questions: Questions, stop: Stop
) -> Array:
    """Answers of one model (S = 1) to n questions, (n,) int32. Interrupted if a stop was requested
    in between."""
    table, _, first_answers = tokens(world, [questions])
    device = parameters["embedding"].device
    found = np.full(len(questions), NO_ANSWER, np.int32)
    # By length, so that as few batches as can be are cut between two lengths.
    order = np.argsort(first_answers, kind="stable")
    for start in range(0, len(order), AT_ONCE):
        if stop.requested:
            raise Interrupted("finished sets are kept; start it again")
        rows = order[start : start + AT_ONCE]
        longest = int(first_answers[rows].max())
        # What lies behind a prompt is its answer: never shown to the model, as each prompt is cut
        # at its own length.
        prompts = torch.from_numpy(table[rows, :longest].astype(np.int64)).to(device)
        lengths = torch.from_numpy(first_answers[rows].astype(np.int64)).to(device)
        written = greedy(parameters, shape, prompts, lengths)[0].cpu().numpy()
        found[rows] = read_written(questions.task, written)
    return found
