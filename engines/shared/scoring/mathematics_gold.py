"""The gold answer of a mathematical problem as text; both versions of the scorer read it here."""

from __future__ import annotations

import math
from typing import Any

from engines.shared.data.problems import Problem


def gold_of(problem: Problem) -> str:
    """The right answer as text; files in circulation hold whole numbers as 27.0. ValueError if the
    ground truth can be no answer: nothing, an empty text, NaN, a list."""
    gold: Any = problem.ground_truth
    if isinstance(gold, float) and math.isfinite(gold):
        return str(int(gold)) if gold.is_integer() else str(gold)
    text = str(gold).strip() if isinstance(gold, (str, int)) else ""
    if not text:
        raise ValueError(f"the ground truth {gold!r:.80} is no answer: mend the problem's file")
    return text
