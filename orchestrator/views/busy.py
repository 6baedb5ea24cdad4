"""A sign of life while a command works for long without a word.

In: what it is at. Out: on a terminal a moving line with the time so far, gone at the end; in a pipe
nothing. Called by `orch data prepare`, `orch launch` and `orch compare`, which do not know how much
is left.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def busy(words: str) -> Iterator[None]:
    """Show ``words`` and the time while the block runs."""
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        yield
        return
    # A twentieth of a second, which nobody else should wait for.
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    # What the block prints goes above the line.
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task(words, total=None)
        yield
