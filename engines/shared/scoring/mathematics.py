"""Mathematical answers: the last ``\\boxed{...}`` against the gold answer, by math-verify.

Run it in a ``ScoringPool``: math-verify's own time-outs use signals, which fail silently outside a
main thread, so they are off here and the pool's killable process is the limit.
"""

from __future__ import annotations

import re

from engines.shared.data.problems import Problem
from engines.shared.scoring.mathematics_gold import gold_of
from engines.shared.scoring.mathematics_guru import equivalent, guru
from engines.shared.scoring.text import last_boxed
from engines.shared.scoring.verdict import Verdict

__all__ = ["guru", "strict"]

NUMBER = re.compile(r"-?\d+(\.\d+)?")


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the boxed answer equals the gold one as text or as mathematics."""
    answer = last_boxed(text)
    if not answer:
        return Verdict(0.0, "no_answer", detail="no \\boxed{} in the response")
    gold = gold_of(problem)
    if plain(answer) == plain(gold):
        return Verdict(1.0, "ok", answer)
    # math-verify may accept a sum one of whose terms is the gold number; a number equals a number.
    # "4\sqrt{2}+8" for 8, which math-verify takes for equal; but "1,000" is a number.
    several = re.search(r"[+*]|(?<=.)-|,", plain(answer)) and not NUMBER.fullmatch(
        plain(answer).replace(",", "")
    )
    if several and NUMBER.fullmatch(plain(gold)):
        return Verdict(0.0, "ok", answer, "several terms where a number is asked for")
    return Verdict(float(equivalent(gold, answer)), "ok", answer)


def plain(answer: str) -> str:
    """An answer without spacing, dollar signs and the final full stop."""
    return re.sub(r"\\[,;! ]|\s|\$", "", answer).rstrip(".")
