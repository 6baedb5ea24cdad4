"""`orch watch`: follow a run full-screen, or line by line without a terminal."""

from __future__ import annotations

import sys

import typer

from orchestrator.cli.arguments import RunName
from orchestrator.runs.lookup import find_run
from orchestrator.views.watch.follow import watch_run


def watch(run: RunName = None) -> None:
    """Watch a run full-screen; filter, cancel and retry jobs there. Without a terminal it prints a
    line per change, as launch --watch does."""
    found = find_run(run)
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        raise typer.Exit(watch_run(found))
    # Draws with textual, which takes half a second to import.
    import orchestrator.views.watch.app

    orchestrator.views.watch.app.watch(found)
