"""Mathematical answers: the last ``\\boxed{...}`` against the gold answer, by math-verify.

Run it in a ``ScoringPool``: math-verify's own time-outs use signals, which fail silently outside a main thread, so they are off here
and the pool's killable process is the limit.
"""

from __future__ import annotations

import re
from typing import Any

from engines.data import Problem
from engines.scoring import Verdict

NUMBER = re.compile(r"-?\d+(\.\d+)?")


def last_boxed(text: str) -> str | None:
    """What the last complete ``\\boxed{...}`` or ``\\fbox{...}`` holds, by matching braces."""
    for start in reversed([match.end() for match in re.finditer(r"\\(?:boxed|fbox)\s*\{", text)]):
        depth = 1
        for position in range(start, len(text)):
            depth += {"{": 1, "}": -1}.get(text[position], 0)
            if depth == 0:
                return text[start:position].strip()
    return None


def parsed(answer: str) -> list[Any]:
    """math-verify's readings of an answer."""
    from math_verify import parse

    readings: list[Any] = parse(f"\\boxed{{{answer}}}", parsing_timeout=None)
    return readings


def score_mathematics(problem: Problem, text: str) -> Verdict:
    """1.0 if the boxed answer equals the gold one as text or as mathematics."""
    from math_verify import verify

    answer = last_boxed(text)
    if not answer:
        return Verdict(0.0, "no_answer", detail="no \\boxed{} in the response")
    gold = str(problem.ground_truth).strip()
    if plain(answer) == plain(gold):
        return Verdict(1.0, "ok", answer)
    # math-verify may accept a sum one of whose terms is the gold number; a number equals a number.
    several = re.search(r"[+*]|(?<=.)-|,", plain(answer)) and not NUMBER.fullmatch(plain(answer).replace(",", ""))
    if several and NUMBER.fullmatch(plain(gold)):
        return Verdict(0.0, "ok", answer, "several terms where a number is asked for")
    right = verify(parsed(gold), parsed(answer), timeout_seconds=None)
    return Verdict(float(right), "ok", answer)


def plain(answer: str) -> str:
    """An answer without spacing, dollar signs and the final full stop."""
    return re.sub(r"\\[,;! ]|\s|\$", "", answer).rstrip(".")
