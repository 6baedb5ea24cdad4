"""A sign of life while a command works for long without a word.

In: what it is at, and lines on how far it is. Out: on a terminal a moving line with the newest of
them and the time so far, gone at the end; in a pipe nothing. Called by commands that do not know
how much is left.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def busy(words: str) -> Iterator[Callable[[str], None]]:
    """Show ``words`` and the time while the block runs; what it gets shows a line behind them, in
    place of the one before."""
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        yield lambda _: None
        return
    # A twentieth of a second, which nobody else should wait for.
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    cut = Column(no_wrap=True, overflow="ellipsis")
    text = TextColumn("{task.description}", markup=False, table_column=cut)
    # What the block prints goes above the line. The time comes first: it is never cut.
    columns = (SpinnerColumn(), TimeElapsedColumn(), text)
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(words, total=None)
        yield lambda line: progress.update(task, description=f"{words}: {line}")


def shown_and_told(
    show: Callable[[str], None], tell: Callable[[str], None]
) -> Callable[[str], None]:
    """Says a line in both ways: as the newest of what goes on, and for good."""

    def both(line: str) -> None:
        show(line)
        tell(line)

    return both
