"""`orch plan`: show what a launch would submit."""

from __future__ import annotations

from contextlib import nullcontext, suppress

from orchestrator.cli.arguments import AsJson, ClusterName, Experiment, Preset, Set
from orchestrator.cli.json_output import print_json
from orchestrator.cli.shared import planned
from orchestrator.errors import CheckError

JSON_KEYS = ("name", "stage", "axes", "after", "resources", "pack", "canary")
"""What --json prints of a job."""


def plan(
    experiment: Experiment,
    preset: Preset = None,
    overrides: Set = None,
    cluster: ClusterName = None,
    as_json: AsJson = False,
) -> None:
    """Show the jobs of an experiment, what waits for what, resources and GPU-hours asked for, and
    what these cost if the cluster's profile has a price. Submits nothing."""
    made = planned(experiment, preset, overrides)
    if as_json:
        head = {key: made.head()[key] for key in ("experiment", "preset", "gpu_hours")}
        jobs = [{key: job.to_dict()[key] for key in JSON_KEYS} for job in made.jobs]
        print_json("plan", {**head, "jobs": jobs})
        return
    from rich.console import Console

    from orchestrator.description.profile_reader import load_profile
    from orchestrator.views.plan import render_plan

    profile = None
    # A plan needs no cluster: without a profile of one it is shown without its price.
    with nullcontext() if cluster else suppress(CheckError):
        profile = load_profile(cluster)
    Console().print(render_plan(made, profile))
