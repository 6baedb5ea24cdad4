"""Of lines in a row that begin with the same word the first few, on a terminal; in a pipe all.

In: lines, of which a launch or a cancel has one for each of thousands of jobs. Out: those that are
shown, and how many were left out. Called by the commands that submit or cancel.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

SHOWN = 12
"""As many fit on the smallest terminal with what comes before and behind them."""


@contextmanager
def few_told(tell: Callable[[str], None], run: str = "") -> Iterator[Callable[[str], None]]:
    """Tells the first few of lines that begin alike, and behind them how many more there were."""
    if not sys.stdout.isatty():
        yield tell
        return
    row = Row(tell, run)
    yield row.take
    row.end()


class Row:
    """Lines that begin alike, one after another."""

    def __init__(self, tell: Callable[[str], None], run: str) -> None:
        self.tell = tell
        self.run = run
        self.word = ""
        self.count = 0

    def take(self, line: str) -> None:
        """Tell a line, or count it."""
        # `submitted train/seed=3 as 17`, `cancelled train/seed=3`.
        word = line.partition(" ")[0]
        if word != self.word:
            self.end()
            self.word = word
        self.count += 1
        if self.count <= SHOWN:
            self.tell(line)

    def end(self) -> None:
        """Tell how many were left out, and where each job is shown."""
        if self.count > SHOWN:
            named = f" {self.run}" if self.run else ""
            more = self.count - SHOWN
            self.tell(f"and {more:,} more {self.word}: orch status{named} --all")
        self.count = 0


def few_of(lines: Sequence[str], run: str = "") -> list[str]:
    """The same of lines that are all known."""
    found: list[str] = []
    with few_told(found.append, run) as tell:
        for line in lines:
            tell(line)
    return found
