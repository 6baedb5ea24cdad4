"""`orch logs`: print a job's log."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.arguments import JobName, OfRun
from orchestrator.runs.lookup import find_run
from orchestrator.views.logs import print_log


def logs(
    job: JobName,
    follow_log: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on until the job ends.")
    ] = False,
    run: OfRun = None,
) -> None:
    """Print the log of a job's newest attempt."""
    print_log(find_run(run), job, follow_log)
