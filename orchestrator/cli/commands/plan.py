"""`orch plan`: show what a launch would submit."""

from __future__ import annotations

import json

from orchestrator.cli.arguments import AsJson, Experiment, Preset, Set
from orchestrator.cli.shared import planned


def plan(
    experiment: Experiment, preset: Preset = None, overrides: Set = None, as_json: AsJson = False
) -> None:
    """Show the jobs of an experiment, what waits for what, resources and GPU-hours asked for.
    Submits nothing."""
    made = planned(experiment, preset, overrides)
    if as_json:
        keys = ("name", "stage", "axes", "after", "resources", "pack", "canary")
        print(
            json.dumps(
                [{key: job[key] for key in keys} for job in made.to_json()["jobs"]], indent=1
            )
        )
        return
    from rich.console import Console

    from orchestrator.views.plan import render_plan

    Console().print(render_plan(made))
