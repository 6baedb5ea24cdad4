"""`orch status`: every job of a run, once or live."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from orchestrator.cli.arguments import AsJson, RunName
from orchestrator.cli.shared import follow
from orchestrator.lifecycle.refresh import refresh
from orchestrator.runs.lookup import find_run
from orchestrator.views.status import document, render


def status(
    run: RunName = None,
    watch: Annotated[bool, typer.Option("--watch", help="Live until the run is over.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="A line per job in a run of more than a hundred, too.")
    ] = False,
    rescan: Annotated[
        bool,
        typer.Option("--rescan", help="Make the state file anew, from job folders and scheduler."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show every job: state with source and age, why it waits or died, progress, expected end."""
    found = find_run(run)
    if watch:
        raise typer.Exit(follow(found))
    records, trouble = refresh(found, rescan)
    if as_json:
        print(json.dumps(document(found, records, trouble), indent=1))
        return
    from rich.console import Console

    console = Console()
    console.print(render(found, records, trouble, found.now(), console.width, every))
