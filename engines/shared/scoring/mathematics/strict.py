"""Mathematical answers: the last ``\\boxed{...}`` against the gold answer.

In: a problem and a response. Out: a verdict. ``latex`` spells both answers plainly, ``forms`` tells
numbers, words, lists, points and chains apart, ``same`` compares them, and ``values`` their numbers
and expressions as latex2sympy reads them.

Run it in a ``ScoringPool``: numbers too large are not worked out, but an integral or a sum may
still take sympy long, and the pool's killable process is the limit.
"""

from __future__ import annotations

from engines.shared.data.problems import Problem
from engines.shared.scoring.golds import text_of
from engines.shared.scoring.mathematics.forms import read
from engines.shared.scoring.mathematics.latex import tidy
from engines.shared.scoring.mathematics.names import readable
from engines.shared.scoring.mathematics.same import same
from engines.shared.scoring.text import last_boxed
from engines.shared.scoring.verdict import Verdict

UNREADABLE = "the right answer cannot be read as mathematics: only its own text is right"
LONGEST = 2000
"""Characters; a longer answer is right only if it is the gold one's text."""


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the boxed answer is the gold one: as text, or as mathematics.

    A right answer that holds an expression which latex2sympy cannot read can be met by its own text
    and spelling only; the verdict's detail then says so.
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
        right = wanted == given or same(wanted, given)
        # No fault of the answer's: who looks for one in the scores should see it.
        detail = "" if right or readable(read(wanted)) else UNREADABLE
        return Verdict(float(right), "ok", answer, detail)
    # sympy raises all kinds, and brackets may be nested too deep.
    except Exception as error:
        return Verdict(None, "error", answer, f"{type(error).__name__}: {error}"[:300])


def gold_of(problem: Problem) -> str:
    """The right answer as text; files in circulation hold whole numbers as 27.0. ValueError if the
    ground truth can be no answer: nothing, an empty text, NaN, a list."""
    gold = problem.ground_truth
    text = text_of(gold)
    return str(int(gold)) if isinstance(gold, float) and gold.is_integer() else text
