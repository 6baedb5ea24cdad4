"""`orch plan`: show what a launch would submit."""

from __future__ import annotations

import json

from orchestrator.cli.arguments import AsJson, Experiment, Preset, Set
from orchestrator.cli.shared import planned

JSON_KEYS = ("name", "stage", "axes", "after", "resources", "pack", "canary")
"""What --json prints of a job."""


def plan(
    experiment: Experiment, preset: Preset = None, overrides: Set = None, as_json: AsJson = False
) -> None:
    """Show the jobs of an experiment, what waits for what, resources and GPU-hours asked for.
    Submits nothing."""
    made = planned(experiment, preset, overrides)
    if as_json:
        jobs = made.to_json()["jobs"]
        print(json.dumps([{key: job[key] for key in JSON_KEYS} for job in jobs], indent=1))
        return
    from rich.console import Console

    from orchestrator.views.plan import render_plan

    Console().print(render_plan(made))
