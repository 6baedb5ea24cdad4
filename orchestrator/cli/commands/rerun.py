"""`orch rerun`: launch a run's experiment anew."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from orchestrator.cli.arguments import ClusterName, Set
from orchestrator.cli.commands.profile import Named


def rerun(
    run: Named,
    overrides: Set = None,
    code: Annotated[
        Literal["present", "launched"],
        typer.Option(help="The code as it is now, or as it was launched."),
    ] = "present",
    cluster: ClusterName = None,
) -> None:
    """Run a recorded experiment once more, as a run of its own, from the description that the run
    keeps."""
    from orchestrator.description.profile_reader import load_profile
    from orchestrator.lifecycle.retry import launch
    from orchestrator.reproduction.rerun import rerun as again
    from orchestrator.runs.lookup import find_run, runs_root

    found = find_run(run)
    made = again(
        found,
        runs_root(),
        overrides or [],
        load_profile(cluster) if cluster else None,
        code == "launched",
        print,
    )
    records = launch(made, print)
    print(
        f"{made.name}: {len(records)} jobs; look at it: orch status {made.name}; compare: "
        f"orch diff {found.name} {made.name}"
    )
