"""How much work a call is, without a clock: the lines of Python that it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

ROOM = 1.3
"""Twice as much of everything may take so many times twice the lines: logarithms, and what is done
once."""


def lines_of(call: Callable[[], object]) -> int:
    """How many lines of Python a call runs; a loop counts as often as it turns."""
    count = 0

    def trace(_frame: FrameType, _event: str, _argument: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def is_linear(call: Callable[[int], object], size: int) -> bool:
    """Whether a call of twice the size does about twice the work."""
    # Once before: imports, caches, compiled patterns.
    call(2)
    small, large = (lines_of(lambda: call(size)), lines_of(lambda: call(2 * size)))
    return large <= 2 * ROOM * small
