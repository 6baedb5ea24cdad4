"""The miniature domains: the whole response is the answer, equal or not. Programs are judged by
what they compute."""

from __future__ import annotations

import re

from engines.shared.data.problems import Problem
from engines.shared.scoring.golds import text_of
from engines.shared.scoring.verdict import Verdict

PROGRAM = re.compile(r"x([+\-*])(\d)")
INPUTS = range(10)


def run_program(program: str, x: int) -> int:
    """Interpret a program such as ``x+3``: one operation with one digit. ValueError if it is not
    one."""
    match = PROGRAM.fullmatch(program)
    if match is None:
        raise ValueError(f"not a program: {program!r}")
    sign, digit = match[1], int(match[2])
    return {"+": x + digit, "-": x - digit, "*": x * digit}[sign]


def strict(problem: Problem, text: str) -> Verdict:
    """Equality after stripping white space; for the domain ``code`` equality of the outputs on ten
    inputs."""
    answer = text.strip()
    if not answer:
        return Verdict(0.0, "no_answer", detail="empty response")
    if problem.domain != "code":
        return Verdict(float(answer == problem.ground_truth), "ok", answer)
    try:
        right = all(run_program(answer, x) == run_program(problem.ground_truth, x) for x in INPUTS)
    except ValueError as error:
        return Verdict(0.0, "ok", answer, str(error))
    return Verdict(float(right), "ok", answer)


def gold_of(problem: Problem) -> str:
    """The right answer. ValueError if there is none, or in the domain ``code`` no program."""
    answer = text_of(problem.ground_truth)
    if problem.domain == "code":
        run_program(answer, 0)
    return answer


guru = strict
"""These domains are not GURU's."""
