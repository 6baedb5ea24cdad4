"""`orch plan`: show what a launch would submit."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.api.json_documents import plan_document
from orchestrator.cli.arguments import AsJson, ClusterName, Experiment, Preset, Set, Wide
from orchestrator.cli.json_output import print_json
from orchestrator.cli.shared import planned
from orchestrator.errors import CheckError, OrchError
from orchestrator.planning.plan import Plan
from orchestrator.runs.create import create_run
from orchestrator.runs.lookup import runs_root
from orchestrator.views.busy.line import busy

if TYPE_CHECKING:
    from orchestrator.description.profile import Profile


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
    """Show the jobs, what waits for what, and the hours asked for. Also what these cost, if the
    cluster's profile has a price. Submits nothing."""
    made = planned(experiment, preset, overrides, not as_json)
    if as_json:
        print_json("plan", plan_document(made))
        return
    from rich.console import Console

    from orchestrator.description.profile_reader import load_profile
    from orchestrator.views.plan import plan_lines
    from orchestrator.views.tables.drawing import screen_of, sentence, show

    profile = None
    # A plan needs no cluster: without a profile of one it is shown without its price.
    with nullcontext() if cluster else suppress(CheckError):
        profile = load_profile(cluster)
    console = Console()
    wanted = [name for one in job or () for name in jobs_named(made, one)]
    screen = screen_of(console, wide)
    show(console, plan_lines(made, profile, screen, every, wanted))
    if profile is not None:
        with busy("looking for what other runs have done"):
            told = done_elsewhere(replace(made, reuse=True), profile)
        show(console, [line for text in told for line in sentence(text, screen)])


def done_elsewhere(plan: Plan, profile: Profile) -> list[str]:
    """What a launch would take from other runs in place of running it, and why it would not take
    more; nothing where no run has a like job."""
    from orchestrator.lifecycle.reused.taking import finder_of, tell_taken, would_take

    runs = runs_root()
    own = runs / plan.run_name
    finder = finder_of(plan, runs, own)
    # Mostly there is none, and then the files of ten thousand jobs need not be made to be held
    # against those of others. A run that is there goes on as it is.
    if (own / "plan.json").exists() or not any(finder.may_have(job.identity) for job in plan.jobs):
        return []
    told: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            run = create_run(plan, profile, Path(folder))
            tell_taken(would_take(run, run.load(), runs, own), told.append)
        except OrchError as error:
            told.append(f"what other runs have done is not known: {error.lines[0]}")
    return told


def jobs_named(plan: Plan, name: str) -> list[str]:
    """The jobs that a person means: one job, those of a stage, or those with this part in their
    name."""
    exact = [job.name for job in plan.jobs if name in (job.name, job.stage)]
    found = exact or [job.name for job in plan.jobs if name in job.name]
    if not found:
        stages = ", ".join(dict.fromkeys(job.stage for job in plan.jobs))
        raise CheckError(f"--job {name}: {plan.experiment} has no such job; its stages: {stages}")
    return found
