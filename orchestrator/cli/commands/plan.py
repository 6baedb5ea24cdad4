"""`orch plan`: show what a launch would submit."""

from __future__ import annotations

from orchestrator.cli.arguments import AsJson, Experiment, Preset, Set
from orchestrator.cli.json_output import print_json
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
        head = {key: made.head()[key] for key in ("experiment", "preset", "gpu_hours")}
        jobs = [{key: job.to_dict()[key] for key in JSON_KEYS} for job in made.jobs]
        print_json("plan", {**head, "jobs": jobs})
        return
    from rich.console import Console

    from orchestrator.views.plan import render_plan

    Console().print(render_plan(made))
