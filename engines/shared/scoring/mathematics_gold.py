"""The gold answer of a mathematical problem as text; both versions of the scorer read it here."""

from __future__ import annotations

from engines.shared.data.problems import Problem


def gold_of(problem: Problem) -> str:
    """The right answer as text; files in circulation hold whole numbers as 27.0."""
    gold = problem.ground_truth
    return str(int(gold)) if isinstance(gold, float) and gold.is_integer() else str(gold).strip()
