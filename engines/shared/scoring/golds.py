"""What cannot be a right answer, whatever the kind: nothing, blank text, no number.

In: a ground truth as a data file holds it. Out: the same, or ValueError in words for the user.
``registry.check_gold`` begins with it; what a kind asks for beyond it (one of the choices, rows,
tests) is in the scorers' ``gold_of``.
"""

from __future__ import annotations

import math
import reprlib
from typing import Any

from engines.shared.data.literals import nothing_seen

STRUCTURES = (list, tuple, dict, set)


def something(truth: Any) -> Any:
    """``truth``, unless no answer could ever be right by it: None, blank text, NaN or infinity, an
    empty list or mapping. Then ValueError."""
    is_blank = isinstance(truth, str) and nothing_seen(truth)
    is_empty = isinstance(truth, STRUCTURES) and not truth
    is_no_number = isinstance(truth, float) and not math.isfinite(truth)
    if truth is None or is_blank or is_empty or is_no_number:
        raise ValueError(f"the right answer is {truth!r}, which no answer can equal")
    return truth


def text_of(truth: Any) -> str:
    """A right answer that is a text or a number, as text. ValueError if it can be none."""
    if isinstance(something(truth), STRUCTURES):
        raise ValueError(f"the right answer is {reprlib.repr(truth)}, and neither text nor number")
    return str(truth).strip()
