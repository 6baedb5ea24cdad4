"""Scorers: a problem and a response in, a verdict out. Pure, deterministic, and never 0.0 for "could not".

``score`` judges in this process what is cheap and safe; mathematics and code go through a ``ScoringPool``, whose processes can be
killed: an expression that hangs costs its own time limit and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engines.data import Problem
from engines.io import ConfigError

Status = Literal["ok", "no_answer", "timeout", "error", "sandbox_error"]


@dataclass(frozen=True)
class Verdict:
    """What a scorer found."""

    value: float | None
    """0.0 to 1.0; None if the response could not be judged (timeout, error, sandbox_error)."""
    status: Status
    """``no_answer``: nothing that could be an answer was found; its value is 0.0."""
    extracted: str | None = None
    """The answer as it was read."""
    detail: str = ""
    """Why there is no value, or why it is what it is."""


Scorer = Callable[[Problem, str], Verdict]

IN_PROCESS = frozenset({"miniature"})
"""Kinds of scorers that need no process of their own: they take microseconds and run nothing."""


KINDS = (("math__", "mathematics"), ("codegen__humaneval", "code"), ("codegen__mbpp", "code"))
"""Scorer by the beginning of a data source."""


def kind_of(data_source: str) -> str:
    """Which scorer judges a data source. ConfigError names the known ones."""
    if data_source.endswith("__miniature"):
        return "miniature"
    for prefix, kind in KINDS:
        if data_source.startswith(prefix):
            return kind
    raise ConfigError(f"no scorer for the data source '{data_source}'; there are scorers for math__*, codegen__humaneval, codegen__mbpp "
                      "and the miniature domains")


def answer_text(text: str) -> str | None:
    """The part of a response after its thinking: after the last ``</think>``; None if the thinking never ends."""
    if "</think>" in text:
        return text.rpartition("</think>")[2]
    return None if "<think>" in text else text


def score(problem: Problem, text: str) -> Verdict:
    """Judge one response in this process."""
    kind = kind_of(problem.data_source)
    answer = answer_text(text)
    if answer is None:
        return Verdict(0.0, "no_answer", detail="the thinking never ends")
    return scorer(kind)(problem, answer)


def scorer(kind: str) -> Scorer:
    """The function behind a kind; imported when it is needed."""
    if kind == "miniature":
        from engines.scoring.miniature import score_miniature

        return score_miniature
    if kind == "mathematics":
        from engines.scoring.mathematics import score_mathematics

        return score_mathematics
    from engines.scoring.code import score_code

    return score_code



from engines.scoring.pool import ScoringPool  # noqa: E402  # needs the names above

__all__ = ["IN_PROCESS", "Scorer", "ScoringPool", "Status", "Verdict", "answer_text", "kind_of", "score", "scorer"]
