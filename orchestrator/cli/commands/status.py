"""`orch status`: every job of a run, once or live."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.arguments import AsJson, JobsOfRun, OnlyJobs, Wide
from orchestrator.cli.json_output import print_json
from orchestrator.cli.shared import follow
from orchestrator.lifecycle.refresh import refresh
from orchestrator.runs.lookup import find_target, named
from orchestrator.views.status import document


def status(
    run: JobsOfRun = None,
    job: OnlyJobs = None,
    watch: Annotated[bool, typer.Option("--watch", help="Live until the run is over.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="A line per job, however many there are.")
    ] = False,
    rescan: Annotated[
        bool,
        typer.Option("--rescan", help="Make the state file anew, from job folders and scheduler."),
    ] = False,
    wide: Wide = False,
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

    from orchestrator.views.overview.summary import status_lines
    from orchestrator.views.tables.drawing import screen_of, show

    console = Console()
    screen = screen_of(console, wide)
    # Who asks for jobs by name wants to see each.
    every = every or wanted is not None
    show(console, status_lines(found, records, trouble, found.now(), screen, every))
