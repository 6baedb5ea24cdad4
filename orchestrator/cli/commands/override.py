"""`orch override`: decide in place of a gate."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli import completion
from orchestrator.errors import RunError
from orchestrator.lifecycle import interventions
from orchestrator.runs.lookup import find_run


def override(
    job: Annotated[
        str,
        typer.Argument(
            help="A job's name, or a stage for all of its jobs.", autocompletion=completion.jobs
        ),
    ],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the decision.")],
    runs: Annotated[
        bool | None,
        typer.Option(
            "--run/--skip",
            help="Let the jobs run whatever their gate says, and choose among the values that are "
            "there; or skip them.",
        ),
    ] = None,
    take: Annotated[
        str | None,
        typer.Option(
            metavar="JOB",
            help="Follow this job in place of the best one.",
            autocompletion=completion.jobs,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--in",
            metavar="RUN",
            help="The run; the newest without it.",
            autocompletion=completion.runs,
        ),
    ] = None,
) -> None:
    """Decide in place of a gate, or of the choice of a best job. The reason is kept, and shown by
    orch why."""
    if (runs is None) == (take is None):
        raise RunError("an override says one of --run, --skip and --take JOB")
    lets_run = take is not None or bool(runs)
    print("\n".join(interventions.override(find_run(run), job, lets_run, reason, take)))
