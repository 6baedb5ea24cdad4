"""Answers about tables: a number, a phrase, or several of them divided by ``|`` in any order
(HiTab, MultiHiertt, FinQA)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from engines.shared.data.problems import Problem
from engines.shared.scoring.amount import Amount, amount
from engines.shared.scoring.golds import text_of
from engines.shared.scoring.table_guru import guru
from engines.shared.scoring.text import TYPED, last_boxed, unwrapped, without_latex
from engines.shared.scoring.verdict import Verdict

__all__ = ["gold_of", "guru", "strict"]

RELATIVE_TOLERANCE = 1e-3
WHOLE_TOLERANCE = 0.005
"""Where the right answer is whole: a year or a count is not known to one in a thousand."""
ZERO_TOLERANCE = 5e-6
"""Where the right answer is 0: FinQA writes its results with five decimals."""
SCALE_NAMES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the boxed answers are the right ones, each once.

    Numbers: within a relative 1e-3, where the right one is whole also within 0.005, and where it is
        0 within 5e-6. Only a percent sign or word allows a factor of 100. A unit, a currency and
        "million" may be left out or added; two different ones are not equal. ValueError if the
        right answer can be none.
    """
    golds = gold_of(problem)
    boxed = last_boxed(text)
    if not boxed:
        return Verdict(0.0, "no_answer", detail="no \\boxed{} in the response")
    answers = re.split(r"\||\\mid(?![a-zA-Z])|\\vert(?![a-zA-Z])", unwrapped(boxed))
    scales = named_scales(problem)

    def same(answer: str, gold: str) -> bool:
        return equal(answer, gold, scales)

    return Verdict(float(matched(answers, golds, same)), "ok", boxed)


def gold_of(problem: Problem) -> list[str]:
    """The right answers. ValueError if one of them is missing, blank or not a number (NaN)."""
    golds = [gold.strip() for gold in text_of(problem.ground_truth).split("|")]
    if not all(golds):
        raise ValueError(f"one of the right answers in {problem.ground_truth!r} is empty")
    return golds


def named_scales(problem: Problem) -> list[float]:
    """The scales that a prompt speaks of: 1e6 where a table is "in millions"."""
    asked = " ".join(message["content"] for message in problem.prompt).lower()
    return [scale for name, scale in SCALE_NAMES.items() if name in asked]


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


def equal(answer: str, gold: str, scales: Sequence[float] = ()) -> bool:
    """Whether one answer is the right one, in a table whose prompt speaks of ``scales``."""
    if words(answer) == words(gold):
        return True
    wanted, found = amount(gold), amount(answer)
    if wanted is None or found is None:
        return False
    # "2007 total" as the right answer is a name: its words have to be there.
    if wanted.unit and wanted.unit != found.unit:
        return False
    if wanted.currency and found.currency and wanted.currency != found.currency:
        return False
    if wanted.scale != 1.0 and found.scale != 1.0:
        return near(found.value * found.scale, wanted.value * wanted.scale)
    # 0.075 as the right answer: "7.5%" is right, "7.5" is not. "12%": 12 and 0.12 are both meant.
    both = wanted.percent and found.percent
    return any(
        near(value, target)
        for value in readings(found, scales, both)
        for target in readings(wanted, scales, both)
    )


def readings(found: Amount, scales: Sequence[float], as_written: bool) -> list[float]:
    """The numbers that an amount may mean: with a percent sign also its hundredth, unless it is
    taken ``as_written``; with "million" the number in the table's own unit."""
    if found.scale == 1.0:
        hundredth = [found.value / 100] if found.percent and not as_written else []
        return [found.value, *hundredth]
    absolute = found.value * found.scale
    # Where the prompt speaks of no scale, the word is taken for the table's unit.
    own = [found.scale] if not scales and found.scale in SCALE_NAMES.values() else []
    return [absolute / scale for scale in (1.0, *scales, *own)]


def near(value: float, gold: float) -> bool:
    """Equality within the tolerance that the gold number's kind allows."""
    if gold == 0:
        return abs(value) <= ZERO_TOLERANCE
    allowed = RELATIVE_TOLERANCE * abs(gold)
    if gold.is_integer():
        # A share of exactly 1 is not met by 1.004.
        allowed = min(allowed, WHOLE_TOLERANCE)
    return abs(value - gold) <= allowed


def words(answer: str) -> str:
    """A phrase without case, LaTeX, quotes, stars and doubled spaces."""
    plain = re.sub(r"[\"'`*]", "", without_latex(answer.translate(TYPED)))
    return re.sub(r"\s+", " ", plain).strip().removesuffix(".").casefold()
