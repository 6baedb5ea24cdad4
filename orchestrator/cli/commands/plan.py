"""`orch plan`: show what a launch would submit."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import Annotated

import typer

from orchestrator.api.json_documents import plan_document
from orchestrator.cli.arguments import AsJson, ClusterName, Experiment, Preset, Set, Wide
from orchestrator.cli.json_output import print_json
from orchestrator.cli.shared import planned
from orchestrator.errors import CheckError
from orchestrator.planning.plan import Plan


def plan(
    experiment: Experiment,
    preset: Preset = None,
    overrides: Set = None,
    cluster: ClusterName = None,
    job: Annotated[
        list[str] | None,
        typer.Option("--job", help="Only this job or stage, job by job. May be repeated."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="A line per job in place of one per stage.")
    ] = False,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show the jobs of an experiment, what waits for what, resources and GPU-hours asked for, and
    what these cost if the cluster's profile has a price. Submits nothing."""
    made = planned(experiment, preset, overrides)
    if as_json:
        print_json("plan", plan_document(made))
        return
    from rich.console import Console

    from orchestrator.description.profile_reader import load_profile
    from orchestrator.views.plan import plan_lines
    from orchestrator.views.tables.drawing import screen_of, show

    profile = None
    # A plan needs no cluster: without a profile of one it is shown without its price.
    with nullcontext() if cluster else suppress(CheckError):
        profile = load_profile(cluster)
    console = Console()
    wanted = [name for one in job or () for name in jobs_named(made, one)]
    show(console, plan_lines(made, profile, screen_of(console, wide), every, wanted))


def jobs_named(plan: Plan, name: str) -> list[str]:
    """The jobs that a person means: one job, those of a stage, or those with this part in their
    name."""
    exact = [job.name for job in plan.jobs if name in (job.name, job.stage)]
    found = exact or [job.name for job in plan.jobs if name in job.name]
    if not found:
        stages = ", ".join(dict.fromkeys(job.stage for job in plan.jobs))
        raise CheckError(f"--job {name}: {plan.experiment} has no such job; its stages: {stages}")
    return found
