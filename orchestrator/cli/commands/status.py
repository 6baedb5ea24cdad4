"""`orch status`: every job of a run, once or live."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer

from orchestrator.cli import kept
from orchestrator.cli.arguments import AsJson, JobsOfRun, OnlyJobs, Wide
from orchestrator.cli.json_output import print_json
from orchestrator.lifecycle.refresh import refresh
from orchestrator.runs.documents import damage
from orchestrator.runs.lookup import find_target, looked_at, named
from orchestrator.runs.record import Record
from orchestrator.runs.run import Run
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
    """Show every job: its state, progress, and why it waits or died. Every state has its source and
    age; a job that runs has its expected end."""
    asked, began = kept.question(), time.time()
    found, jobs = find_target(run, job)
    wanted = named(found, jobs)
    if watch:
        from orchestrator.cli.shared import follow

        raise typer.Exit(follow(found))
    records, trouble = refresh(found, rescan)
    if wanted is not None:
        records = [record for record in records if record.name in wanted]
    if as_json:
        print_json("status", document(found, records, trouble))
        return
    # Who asks for jobs by name wants to see each.
    with kept.Copied() as printed:
        draw(found, records, trouble, every or wanted is not None, wide)
    sources = None
    if not (trouble or rescan or damage.is_noted()):
        from orchestrator.views.overview.settled import files_behind

        sources = files_behind(found, records)
    if sources is not None:
        kept.keep(asked, [*looked_at(run), *sources], began, "".join(printed.parts))


def draw(found: Run, records: Sequence[Record], trouble: str, every: bool, wide: bool) -> None:
    """Print the table and what stands around it."""
    from orchestrator.views.overview.summary import status_lines
    from orchestrator.views.tables.drawing import output, screen_of, show

    console = output()
    screen = screen_of(console, wide)
    show(console, status_lines(found, records, trouble, found.now(), screen, every))
