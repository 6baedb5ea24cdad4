"""What a command shows while it works for long: what it is at, the time, and how far it is.

In: words, lines on what has just been done, and what is counted below
(engines/contract/counting/counts.py). Out: on a terminal one moving line, with a bar as long as a
total is known, gone at the end; in a pipe and with --json nothing. Called by commands.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engines.contract.counting.counts import BYTES, Amount, heard_by
from orchestrator.views.moments import clock

if TYPE_CHECKING:
    from rich.progress import Progress, Task

BAR_CELLS = 20
"""Of 80 columns: time, bar and numbers leave as many for words as a job's name takes."""
WIDE_COLUMNS = 70
"""On a narrower terminal the bar is half as long, and the time left is not shown."""
LEFT_CELLS = len("59:59 left")


@contextmanager
def busy(words: str, shown: bool = True) -> Iterator[Callable[[str], None]]:
    """Show ``words`` and the time while the block runs, and a bar for what is counted in it. What
    the block gets shows a line behind the words, in place of the one before.

    Args:
        shown: not, if the output is for a program.
    """
    # On a terminal that cannot go back in a line each state would be a line of its own.
    can_move = os.environ.get("TERM") not in ("dumb", "unknown")
    if not (shown and can_move and sys.stdout.isatty() and sys.stderr.isatty()):
        yield lambda _: None
        return
    with drawing() as progress:
        line = Line(progress, words)
        with heard_by(line.count):
            yield line.say


class Line:
    """The moving line: what goes on, and what of it is done."""

    def __init__(self, progress: Progress, words: str) -> None:
        self.progress = progress
        self.whole = words
        self.words = words
        self.total: int | None = None
        self.begun = time.monotonic()
        self.task = progress.add_task(words, total=None, numbers="", begun=self.begun)

    def say(self, line: str) -> None:
        """Show a line behind the words."""
        self.progress.update(self.task, description=f"{self.words}: {line}")

    def count(self, amount: Amount) -> None:
        """Show how much is done, and of what."""
        if (self.words, self.total) != (amount.words, amount.total):
            # The next kind of work has a speed of its own, from which the rest is estimated.
            self.begin(amount.words, amount.total, numbers(amount))
        self.progress.update(self.task, completed=amount.done, numbers=numbers(amount))
        if amount.done >= amount.total:
            # What comes next may not be counted: a full bar would say that it is this one still.
            self.begin(self.whole, None, "")

    def begin(self, words: str, total: int | None, shown: str) -> None:
        """Show another kind of work."""
        self.progress.remove_task(self.task)
        self.words, self.total = words, total
        self.task = self.progress.add_task(words, total=total, numbers=shown, begun=self.begun)


def numbers(amount: Amount) -> str:
    """``3,200 of 8,000``, or of bytes ``0.4 of 12.1 GB``."""
    done, total, unit = f"{amount.done:,}", f"{amount.total:,}", ""
    if amount.unit == BYTES:
        size, unit = (1e9, " GB") if amount.total >= 1e9 else (1e6, " MB")
        done, total = f"{amount.done / size:,.1f}", f"{amount.total / size:,.1f}"
    # As wide at the start as at the end: the bar stands still.
    return f"{done:>{len(total)}} of {total}{unit}"


def drawing() -> Progress:
    """The time, what goes on, and where a total is known a bar with numbers and the time left."""
    # A twentieth of a second, which nobody else should wait for.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn
    from rich.progress_bar import ProgressBar
    from rich.table import Column
    from rich.text import Text

    class Words(ProgressColumn):
        """What a function says of the work."""

        def __init__(self, words: Callable[[Task], str], style: str) -> None:
            self.words, self.style = words, style
            super().__init__(Column(no_wrap=True))

        def render(self, task: Task) -> Text:
            return Text(self.words(task), style=self.style)

    class Bar(BarColumn):
        """A bar, where there is a total."""

        def render(self, task: Task) -> ProgressBar:
            return super().render(task) if task.total else ProgressBar(width=0)

    console = Console(stderr=True)
    wide = console.width >= WIDE_COLUMNS
    # Only the words of what goes on give way where the line is too long.
    cut = Column(no_wrap=True, overflow="ellipsis", ratio=1)
    columns: list[ProgressColumn] = [
        SpinnerColumn(table_column=Column(no_wrap=True)),
        Words(elapsed_of, "progress.elapsed"),
        TextColumn("{task.description}", markup=False, table_column=cut),
        Bar(BAR_CELLS if wide else BAR_CELLS // 2, table_column=Column(no_wrap=True)),
        Words(lambda task: str(task.fields["numbers"]), ""),
        *([Words(left_of, "progress.remaining")] if wide else []),
    ]
    # What the block prints goes above the line.
    return Progress(*columns, console=console, transient=True, expand=True)


def elapsed_of(task: Task) -> str:
    """The time since the command began, over all kinds of its work."""
    return clock(time.monotonic() - task.fields["begun"])


def left_of(task: Task) -> str:
    """The time that the rest may take by the speed so far; nothing where there is no total."""
    if not task.total:
        return ""
    seconds = None if task.finished else task.time_remaining
    return (f"{clock(seconds)} left" if seconds else "").rjust(LEFT_CELLS)


def shown_and_told(
    show: Callable[[str], None], tell: Callable[[str], None]
) -> Callable[[str], None]:
    """Says a line in both ways: as the newest of what goes on, and for good."""

    def both(line: str) -> None:
        show(line)
        tell(line)

    return both
