"""The step that the name of a checkpoint's folder tells.

In: a name, as any program or person may have chosen it. Out: the optimizer step, or None. Called by
``checkpoint_formats.py``.
"""

from __future__ import annotations

import re

NUMBER = r"(?P<number>[0-9]+)(?P<thousand>k?)(?![0-9a-z]|\.[0-9])"
"""A whole number that ends here; ``10k`` is 10000, ``7b`` and ``2.5`` are none."""
STEP_WORDS = (
    r"steps?",
    r"iter(?:ation)?s?",
    r"(?:checkpoint|checkpt|ckpt|chkpt|cp)s?",
    r"(?:epoch|ep)s?",
)
"""What a number may stand behind, the surest first."""
DATE = re.compile(
    r"(?<![0-9])(?:19|20)[0-9]{2}(?P<sign>[-_.]?)(?:0[1-9]|1[0-2])(?P=sign)(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[-_t ]?[0-9]{2}[-_:.h]?[0-9]{2}(?:[-_:.m]?[0-9]{2})?s?)?(?![0-9])"
)
"""``2026-01-31``, ``20260131``, either with a time of the day behind it."""


def step_of(name: str) -> int:
    """``step_in`` a name; 0 if it tells none."""
    return step_in(name) or 0


def step_in(name: str) -> int | None:
    """The step in a name; None if it tells none.

    The number behind ``step`` counts (``epoch_2_step_40_v2``: 40), else behind ``iter``, else
    behind ``checkpoint``, else behind ``epoch``; of several the last. Without any of these words it
    is the last number that stands alone (``run-500``), or the one that a name of letters ends in
    (``model500``). Dates, versions (``v2``), sizes (``7b``) and parts of decimals (``qwen2.5``) are
    no steps, so ``qwen2.5-7b`` and ``last`` tell none.
    """
    text = name.lower()
    for place, words in enumerate(STEP_WORDS):
        # A date may stand behind "checkpoint", but nobody counts steps in dates.
        if place == 2:
            text = DATE.sub(" ", text)
        found = last(rf"(?<![a-z]){words}[-_=.: ]*{NUMBER}", text)
        if found is None and place == 0:
            # global_step, globalstep, 1000steps.
            found = last(rf"globalstep[-_=.: ]*{NUMBER}", text)
            found = last(r"(?<![0-9a-z.])(?P<number>[0-9]+)(?P<thousand>k?)steps?", text, found)
        if found is not None:
            return found
    # Not the exponent of 1e-5.
    found = last(rf"(?<![0-9a-z.])(?<![0-9]e-){NUMBER}", text)
    # A name of letters and one number: "run3", not "v2".
    return last(rf"^[a-z][a-z_-]*(?<![_-]v)(?<!^v){NUMBER}$", text, found)


def last(pattern: str, text: str, found: int | None = None) -> int | None:
    """The number that ``pattern`` finds last in ``text``; ``found`` if that is one already."""
    if found is not None:
        return found
    for match in re.finditer(pattern, text):
        thousand = 1000 if match["thousand"] else 1
        found = int(match["number"]) * thousand
    return found
