"""`orch wait`: block until a run is over, for scripts."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from orchestrator.api.waiting import GOOD, Waited
from orchestrator.api.waiting import wait as wait_for
from orchestrator.cli.arguments import AsJson, JobsOfRun, OnlyJobs
from orchestrator.cli.json_output import print_json
from orchestrator.runs.lookup import find_target
from orchestrator.runs.run import Run

TIME_IS_UP = 124
"""As of the program ``timeout``."""
INTERRUPTED = 130
SHOWN = 12
"""Jobs that are told of one by one."""


def wait(
    run: JobsOfRun = None,
    job: OnlyJobs = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0, help="Seconds; without it as long as it takes; with 0 the state is checked once."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Wait until a run is over; the exit code tells how it went. 0: every job completed or was
    skipped by a gate. 1: one failed, was cancelled or waits for a person. 124: the time was up.
    130: after Ctrl-C, which leaves the jobs alone."""
    found, jobs = find_target(run, job)
    try:
        waited = wait_for(found, jobs, timeout, lambda line: print(line, file=sys.stderr))
    except KeyboardInterrupt:
        print(f"the run continues: orch status {found.name}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        # Late, as it imports rich.
        from orchestrator.views.status import status_rows

        told = {"over": waited.over, "good": waited.good, "trouble": waited.trouble}
        rows = status_rows(found, waited.records, time.time())
        print_json("wait", {"run": found.name, **told, "jobs": rows})
    else:
        tell(found, waited)
    if not waited.over:
        raise typer.Exit(TIME_IS_UP)
    if not waited.good:
        raise typer.Exit(1)


def tell(found: Run, waited: Waited) -> None:
    """How many are done, and which are not."""
    others = [record for record in waited.records if record.state not in GOOD]
    done = len(waited.records) - len(others)
    print(f"{found.name}: {done} of {len(waited.records)} done")
    for record in others[:SHOWN]:
        print(f"{record.name} is {record.state}" + (f": {record.reason}" if record.reason else ""))
    if len(others) > SHOWN:
        print(f"and {len(others) - SHOWN} more; see: orch status {found.name}")
