"""`orch list`: the runs in the runs folder, or the experiments that can be launched."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from orchestrator.api.loaded import list_runs
from orchestrator.cli.arguments import AsJson
from orchestrator.cli.json_output import print_json
from orchestrator.runs.lookup import runs_root
from orchestrator.views.logs import runs_table
from orchestrator.views.tables.drawing import screen_of, show


def list(
    experiments: Annotated[
        bool,
        typer.Option(
            "--experiments",
            help="List experiments instead: those in ./jobs and the shipped ones, with their "
            "presets.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs, the newest last, or the experiments. Runs are those in ./runs (or ORCH_RUNS),
    as they were last seen."""
    if experiments:
        # Late, because the shell imports this module for every TAB after the command's name.
        import orchestrator.views.experiments as known

        if as_json:
            print_json("experiments", {"experiments": [vars(one) for one in known.experiments()]})
        else:
            console = Console()
            show(console, known.experiments_table(screen_of(console)))
    elif as_json:
        print_json("list", {"runs": list_runs()})
    else:
        console = Console()
        show(console, runs_table(runs_root(), screen_of(console)))
