"""`orch list`: the runs in the runs folder, or the experiments that can be launched."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from orchestrator.runs.lookup import runs_root
from orchestrator.views.logs import runs_table


def list(
    experiments: Annotated[
        bool,
        typer.Option(
            "--experiments",
            help="List experiments instead: those in ./jobs and the shipped ones, with their "
            "presets.",
        ),
    ] = False,
) -> None:
    """List the runs in ./runs (or ORCH_RUNS), newest last, as they were last seen; or the
    experiments that there are."""
    if experiments:
        from orchestrator.views.experiments import experiments_table

        Console().print(experiments_table())
        return
    Console().print(runs_table(runs_root()))
