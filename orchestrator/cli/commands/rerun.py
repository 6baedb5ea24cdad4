"""`orch rerun`: launch a run's experiment anew."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from orchestrator.cli.arguments import AsJson, ClusterName, RecordedRun, Set
from orchestrator.cli.shared import print_run
from orchestrator.description.profile_reader import load_profile
from orchestrator.lifecycle.refresh import quiet
from orchestrator.lifecycle.retry import launch
from orchestrator.runs.lookup import find_run, runs_root


def rerun(
    run: RecordedRun,
    overrides: Set = None,
    code: Annotated[
        Literal["present", "launched"],
        typer.Option(help="The code as it is now, or as it was launched."),
    ] = "present",
    cluster: ClusterName = None,
    as_json: AsJson = False,
) -> None:
    """Run a recorded experiment once more, as a run of its own, from the description that the run
    keeps."""
    import orchestrator.reproduction.rerun

    found = find_run(run)
    tell = quiet if as_json else print
    made = orchestrator.reproduction.rerun.rerun(
        found,
        runs_root(),
        overrides or [],
        load_profile(cluster) if cluster else None,
        launched=code == "launched",
        tell=tell,
    )
    records = launch(made, tell)
    if as_json:
        print_run(made, records)
        return
    print(
        f"{made.name}: {len(records)} jobs; look at it: orch status {made.name}; compare: "
        f"orch diff {found.name} {made.name}"
    )
