"""`orch override`: decide in place of a gate."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli import completion
from orchestrator.cli.arguments import AsJson, OneJob
from orchestrator.cli.shared import print_changes
from orchestrator.lifecycle import interventions
from orchestrator.runs.lookup import find_job


def override(
    reason: Annotated[str, typer.Option(help="Why; it is kept with the decision.")],
    runs: Annotated[
        bool,
        typer.Option(
            "--run/--skip", help="Let the jobs run whatever their gate says, or skip them."
        ),
    ],
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN:]JOB",
            help="A job's name, or a stage for all of its jobs; of the newest run without RUN.",
            autocompletion=completion.jobs_and_targets,
        ),
    ] = None,
    job: OneJob = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--in",
            metavar="RUN",
            help="The run, as before RUN:JOB.",
            autocompletion=completion.runs,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decide in place of a gate. The reason is kept, and shown by orch why."""
    found, name = find_job(target, run, job)
    print_changes(found, interventions.override(found, name, runs, reason), "", as_json)
