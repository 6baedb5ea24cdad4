"""Answers about tables: a number, a phrase, or several of them divided by ``|`` in any order
(HiTab, MultiHiertt, FinQA)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from engines.shared.data.problems import Problem
from engines.shared.scoring.table_guru import guru
from engines.shared.scoring.text import last_boxed, without_latex
from engines.shared.scoring.verdict import Verdict

__all__ = ["guru", "strict"]

RELATIVE_TOLERANCE = 1e-3
WHOLE_TOLERANCE = 0.005
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the boxed answers are the right ones, each once.

    Numbers: within a relative 1e-3; where the right one is whole, within 0.005. Only a percent sign
        allows a factor of 100.
    """
    boxed = last_boxed(text)
    if not boxed:
        return Verdict(0.0, "no_answer", detail="no \\boxed{} in the response")
    golds = [gold.strip() for gold in str(problem.ground_truth).split("|")]
    answers = boxed.split("|") if len(golds) > 1 else [boxed]
    return Verdict(float(matched(answers, golds, equal)), "ok", boxed)


def matched(answers: list[str], golds: list[str], same: Callable[[str, str], bool]) -> bool:
    """Whether every right answer is met by one answer of its own; near numbers may fit twice, hence
    the search."""
    if len(answers) != len(golds):
        return False
    # A matching by augmenting paths: a gold whose answers are all taken asks the others to move.
    partner: dict[int, int] = {}  # answer -> gold

    def place(gold: int, seen: set[int]) -> bool:
        for answer in range(len(answers)):
            if answer not in seen and same(answers[answer], golds[gold]):
                seen.add(answer)
                if answer not in partner or place(partner[answer], seen):
                    partner[answer] = gold
                    return True
        return False

    return all(place(gold, set()) for gold in range(len(golds)))


def equal(answer: str, gold: str) -> bool:
    """Whether one answer is the right one."""
    wanted = readings(gold)
    if not wanted:
        return words(answer) == words(gold)
    values = readings(answer)
    # "12%" as the right answer: 12 and 0.12 are both meant.
    if "%" in gold:  # the right answer is itself a percentage
        return any(near(value, target) for value in values for target in wanted)
    # 0.075 as the right answer: "7.5%" is right, "7.5" is not.
    return any(near(value, wanted[0]) for value in values)


def near(value: float, gold: float) -> bool:
    """Equality within the tolerance that the gold number's kind allows."""
    return (
        abs(value - gold) < WHOLE_TOLERANCE
        if float(gold).is_integer()
        else math.isclose(value, gold, rel_tol=RELATIVE_TOLERANCE)
    )


def readings(answer: str) -> list[float]:
    """The number that an answer is; with a percent sign also its hundredth. Empty if it is no
    number or no fraction of two."""
    # "$1,234.50", "1{,}234", "\$5".
    bare = re.sub(r"\\?[$€£]|[{}]?,[{}]?|\s", "", answer.strip().rstrip("."))
    percent = bare.endswith("%")
    bare = bare.removesuffix("%").removesuffix("\\")
    parts = bare.split("/")
    if len(parts) > 2 or not all(NUMBER.fullmatch(part) for part in parts):
        return []
    if len(parts) == 2 and float(parts[1]) == 0:
        return []
    value = float(parts[0]) / (float(parts[1]) if len(parts) == 2 else 1.0)
    return [value, value / 100] if percent else [value]


def words(answer: str) -> str:
    """A phrase without case, LaTeX, quotes and doubled spaces."""
    return re.sub(r"\s+", " ", re.sub(r"[\"'`]", "", without_latex(answer))).strip().casefold()
