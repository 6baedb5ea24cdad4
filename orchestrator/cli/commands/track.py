"""`orch track sync`: what trackers have kept offline."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli import completion
from orchestrator.runs.lookup import find_run
from orchestrator.views.busy.line import busy

track = typer.Typer(help="Send what trackers have kept offline.", no_args_is_help=True)


@track.command("sync")
def track_sync(
    run: Annotated[
        str,
        typer.Argument(
            help="experiment (its newest run), experiment/run, or a run's folder.",
            autocompletion=completion.runs,
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent; send nothing.")
    ] = False,
) -> None:
    """Send the offline runs of W&B, and MLflow's to the server of MLFLOW_TRACKING_URI; gather those
    of trackio in one folder. Jobs that still run are left for later."""
    from orchestrator.storage.send_tracked import send

    with busy("sending what trackers have kept"):
        send(find_run(run), print, dry_run)
