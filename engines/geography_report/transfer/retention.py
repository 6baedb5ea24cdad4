"""What becomes of a task when another one is trained after it.

In: scores of a base on its task and of the model after the second task, on the same questions. Out:
one ``Kept`` per ordered pair of tasks. Called by report.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engines.shared.reporting.seeds import LEVEL, Estimate, estimate_from
from engines.shared.reporting.statistics import Array, benjamini_hochberg

BETTER, WORSE, SAME = "better", "worse", "none"


@dataclass(frozen=True)
class Kept:
    """The score on ``first`` before and after training on ``second``."""

    first: str
    second: str
    before: float
    """Mean over seeds, in the task's unit."""
    after: float
    constant: float
    """Score of the best constant answer."""
    learned: int
    """Seeds whose base beats the best constant answer."""
    change: Estimate | None
    """How much better the score became: above 0 is better, whatever the task's direction."""
    share: float | None
    """The change as a share of the base's lead over the constant: 0 nothing is lost, -1 all of it;
    None where no base has a lead."""
    p_adjusted: float | None = None

    @property
    def verdict(self) -> str:
        """Better, worse or none; undefined where no base had anything to lose. With one seed it
        holds for this run's models alone."""
        if self.change is None or self.p_adjusted is None or not self.learned:
            return "undefined"
        if self.p_adjusted > LEVEL:
            return SAME
        return BETTER if self.change.interval.value > 0 else WORSE


@dataclass(frozen=True)
class Pair:
    """Scores of one ordered pair of tasks, one line per seed, on the same questions."""

    first: str
    second: str
    before: Array
    """(seeds, questions)."""
    after: Array
    """(seeds, questions)."""
    constant: float
    learned: Array
    """(seeds,): 1 where the base beats its constant, else 0."""
    higher_is_better: bool


def kept_of(pairs: Sequence[Pair]) -> list[Kept]:
    """Every pair, with Benjamini and Hochberg's correction over all of them."""
    found = [one_kept(pair) for pair in pairs]
    p_values = [one.change.p_value for one in found if one.change is not None]
    adjusted = iter(benjamini_hochberg(p_values) if p_values else [])
    return [one if one.change is None else replace(one, p_adjusted=next(adjusted)) for one in found]


def one_kept(pair: Pair) -> Kept:
    """One pair, uncorrected."""
    sign = 1.0 if pair.higher_is_better else -1.0
    gains = sign * (pair.after - pair.before)
    # A mean of differences is drawn in closed form: its variance over questions is s^2 / n.
    by_question = gains.mean(axis=0)
    over_questions = float("nan")
    if len(by_question) > 1:
        over_questions = float(by_question.var(ddof=1)) / len(by_question)
    before, after = float(pair.before.mean()), float(pair.after.mean())
    lead = sign * (before - pair.constant)
    change = None if np.isnan(over_questions) else estimate_from(gains.mean(axis=1), over_questions)
    return Kept(
        pair.first,
        pair.second,
        before,
        after,
        pair.constant,
        int(np.nansum(pair.learned)),
        change,
        sign * (after - before) / lead if np.nansum(pair.learned) > 0 and lead > 0 else None,
    )
