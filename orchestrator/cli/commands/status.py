"""`orch status`: every job of a run, once or live."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.arguments import AsJson, JobsOfRun, OnlyJobs
from orchestrator.cli.json_output import print_json
from orchestrator.cli.shared import follow
from orchestrator.lifecycle.refresh import refresh
from orchestrator.runs.lookup import find_target, named
from orchestrator.views.status import document, render


def status(
    run: JobsOfRun = None,
    job: OnlyJobs = None,
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
    found, jobs = find_target(run, job)
    wanted = named(found, jobs)
    if watch:
        raise typer.Exit(follow(found))
    records, trouble = refresh(found, rescan)
    if wanted is not None:
        records = [record for record in records if record.name in wanted]
    if as_json:
        print_json("status", document(found, records, trouble))
        return
    from rich.console import Console

    console = Console()
    console.print(render(found, records, trouble, found.now(), console.width, every))
