"""`orch cancel`: end active jobs and those that wait."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from orchestrator.cli.arguments import AsJson, Jobs, JobsOfRun
from orchestrator.cli.shared import print_changes
from orchestrator.lifecycle import interventions
from orchestrator.runs.lookup import find_target
from orchestrator.runs.record import FINAL
from orchestrator.runs.run import Run


def cancel(
    run: JobsOfRun = None,
    job: Jobs = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without asking back.")] = False,
    as_json: AsJson = False,
) -> None:
    """End active jobs, and those that wait. What is done stays done; orch retry starts them
    again. On a terminal, without a run or job, it asks whether the newest run is meant."""
    found, jobs = find_target(run, job)
    # Who names nothing may have another run in mind than the newest one. A program has nobody to
    # ask.
    if run is None and not job and not yes and sys.stdin.isatty() and sys.stdout.isatty():
        ask(found)
    lines = interventions.cancel(found, jobs)
    print_changes(found, lines, "nothing is active", as_json)


def ask(run: Run) -> None:
    """Name the run and how much of it would end, and let a person say no."""
    going = sum(record.state not in FINAL for record in run.load())
    if going:
        typer.confirm(f"cancel all of {run.name} ({going} that run or wait)?", abort=True)
