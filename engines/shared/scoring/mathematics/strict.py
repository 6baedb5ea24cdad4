"""Mathematical answers: the last ``\\boxed{...}`` against the gold answer.

In: a problem and a response. Out: a verdict. ``latex`` spells both answers plainly, ``forms`` tells
numbers, words, lists, points and chains apart, ``same`` compares them, and ``values`` their numbers
and expressions as latex2sympy reads them.

Run it in a ``ScoringPool``: numbers too large are not worked out, but an integral or a sum may
still take sympy long, and the pool's killable process is the limit.
"""

from __future__ import annotations

from engines.shared.data.problems import Problem
from engines.shared.scoring.mathematics.gold import gold_of
from engines.shared.scoring.mathematics.latex import tidy
from engines.shared.scoring.mathematics.same import same
from engines.shared.scoring.text import last_boxed
from engines.shared.scoring.verdict import Verdict

LONGEST = 2000
"""Characters; a longer answer is right only if it is the gold one's text."""


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the boxed answer is the gold one: as text, or as mathematics.

    Numbers: exact; a decimal with six or more decimals and digits may be the gold one rounded.
    Units: may be left out; another one than the gold one's is wrong. Order counts where the gold
    answer has round or square brackets. ValueError if the ground truth can be no answer.
    """
    gold = gold_of(problem)
    answer = last_boxed(text)
    if not answer:
        return Verdict(0.0, "no_answer", detail="no \\boxed{} in the response")
    if answer == gold or len(answer) > LONGEST:
        return Verdict(float(answer == gold), "ok", answer)
    try:
        wanted, given = tidy(gold), tidy(answer)
        return Verdict(float(wanted == given or same(wanted, given)), "ok", answer)
    # sympy raises all kinds, and brackets may be nested too deep.
    except Exception as error:
        return Verdict(None, "error", answer, f"{type(error).__name__}: {error}"[:300])
