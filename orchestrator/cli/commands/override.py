"""`orch override`: decide in place of a gate."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli import completion
from orchestrator.cli.arguments import AsJson, OneJob
from orchestrator.cli.shared import print_changes
from orchestrator.errors import RunError
from orchestrator.lifecycle import interventions
from orchestrator.runs.lookup import find_job

Take = Annotated[
    str | None,
    typer.Option(
        metavar="JOB",
        help="Follow this job in place of the best one.",
        autocompletion=completion.jobs,
    ),
]


def override(
    reason: Annotated[str, typer.Option(help="Why; it is kept with the decision.")],
    runs: Annotated[
        bool | None,
        typer.Option(
            "--run/--skip",
            help="Let the jobs run whatever their gate says, and choose among the values that are "
            "there; or skip them.",
        ),
    ] = None,
    take: Take = None,
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
    """Decide in place of a gate, or of the choice of a best job. The reason is kept, and shown by
    orch why."""
    if (runs is None) == (take is None):
        raise RunError("an override says one of --run, --skip and --take JOB")
    lets_run = take is not None or bool(runs)
    found, name = find_job(target, run, job)
    changes = interventions.override(found, name, lets_run, reason, take)
    print_changes(found, changes, "", as_json)
