"""`orch logs`: print a job's log."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.arguments import JobOfRun, OfRun, OneJob
from orchestrator.runs.lookup import find_job
from orchestrator.views.logs import print_log


def logs(
    target: JobOfRun = None,
    follow_log: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on until the job ends.")
    ] = False,
    job: OneJob = None,
    run: OfRun = None,
) -> None:
    """Print the log of a job's newest attempt."""
    found, name = find_job(target, run, job)
    print_log(found, name, follow_log)
