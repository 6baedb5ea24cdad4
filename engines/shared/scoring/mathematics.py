"""Mathematical answers: the last ``\\boxed{...}`` against the gold answer, by math-verify.

Run it in a ``ScoringPool``: math-verify's own time-outs use signals, which fail silently outside a
main thread, so they are off here and the pool's killable process is the limit.
"""

from __future__ import annotations

from engines.shared.data.problems import Problem
from engines.shared.scoring.mathematics_gold import gold_of
from engines.shared.scoring.mathematics_guru import guru
from engines.shared.scoring.mathematics_latex import tidy
from engines.shared.scoring.mathematics_same import same
from engines.shared.scoring.text import last_boxed
from engines.shared.scoring.verdict import Verdict

__all__ = ["guru", "strict"]


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the boxed answer is the gold one: as text, or as mathematics."""
    answer = last_boxed(text)
    gold = gold_of(problem)
    if not answer:
        return Verdict(0.0, "no_answer", detail="no \\boxed{} in the response")
    wanted, given = tidy(gold), tidy(answer)
    return Verdict(float(wanted == given or same(wanted, given)), "ok", answer)
