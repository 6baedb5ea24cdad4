"""`orch watch`: follow a run full-screen, or line by line without a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.arguments import RunName

if TYPE_CHECKING:
    from orchestrator.runs.run import Run


def follow(run: Run) -> int:
    """Live view until the run is over; exit code 0 if everything completed. Ctrl-C leaves the run
    alone."""
    from orchestrator.views.watch.follow import watch_run

    return watch_run(run)


def watch(run: RunName = None) -> None:
    """Watch a run full-screen: jobs, progress, logs; filter, cancel, retry. Without a terminal: a
    line per change, as launch --watch."""
    from orchestrator.runs.lookup import find_run

    found = find_run(run)
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        raise typer.Exit(follow(found))
    from orchestrator.views.watch.app import watch as live

    live(found)
