"""`orch serve`: the runs as a live page in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.arguments import RunName
from orchestrator.runs.lookup import find_run, runs_root


def serve(
    run: RunName = None,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, help="Port on the loopback address; without it one that is free."
        ),
    ] = 0,
    allow_actions: Annotated[
        bool,
        typer.Option(
            "--allow-actions",
            help="Let the page cancel, retry and override, with the checks of these commands.",
        ),
    ] = False,
) -> None:
    """Serve the runs as a live page for the browser. The page has jobs, curves, results, logs and
    costs, at a secret URL on this machine's loopback address. Ctrl-C ends it; the runs go on."""
    # Late, because the shell imports this module for every TAB after the command's name.
    import orchestrator.serve.serving

    chosen = None if run is None else find_run(run)
    orchestrator.serve.serving.serve(runs_root(), chosen, port, allow_actions)
