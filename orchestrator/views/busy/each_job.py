"""Of lines that come once for each job the first few, on a terminal; in a pipe all of them.

In: lines, of which some are ``EachJob``. Out: those that are shown, and how many were left out.
Called by the commands that submit or cancel.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from orchestrator.lifecycle.sending.lines import EachJob

SHOWN = 12
"""As many fit on the smallest terminal with what comes before and behind them."""


@contextmanager
def few_told(tell: Callable[[str], None], run: str = "") -> Iterator[Callable[[str], None]]:
    """Tells the first few lines that come once for each job, and at the end how many more there
    were."""
    if not sys.stdout.isatty():
        yield tell
        return
    count = 0

    def told(line: str) -> None:
        nonlocal count
        count += isinstance(line, EachJob)
        if count <= SHOWN or not isinstance(line, EachJob):
            tell(line)

    yield told
    if count > SHOWN:
        tell(left_out(count - SHOWN, run))


def few_of(lines: Sequence[str], run: str = "") -> list[str]:
    """The same of lines that are all known."""
    found: list[str] = []
    with few_told(found.append, run) as tell:
        for line in lines:
            tell(line)
    return found


def left_out(count: int, run: str) -> str:
    """That there were more such lines, and where each job is shown."""
    named = f" {run}" if run else ""
    return f"and {count:,} more: orch status{named} --all"
