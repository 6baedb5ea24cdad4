"""The gold answer of a mathematical problem as text; both versions of the scorer read it here."""

from __future__ import annotations

from engines.shared.data.problems import Problem
from engines.shared.scoring.golds import text_of


def gold_of(problem: Problem) -> str:
    """The right answer as text; files in circulation hold whole numbers as 27.0. ValueError if the
    ground truth can be no answer: nothing, an empty text, NaN, a list."""
    gold = problem.ground_truth
    text = text_of(gold)
    return str(int(gold)) if isinstance(gold, float) and gold.is_integer() else text
