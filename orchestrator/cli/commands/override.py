"""`orch override`: decide in place of a gate."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli import completion
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
        bool,
        typer.Option(
            "--run/--skip", help="Let the jobs run whatever their gate says, or skip them."
        ),
    ],
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
    """Decide in place of a gate. The reason is kept, and shown by orch why."""
    print("\n".join(interventions.override(find_run(run), job, runs, reason)))
