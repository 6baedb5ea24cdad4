"""`orch rerun`: launch a run's experiment anew."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from orchestrator.cli.arguments import AsJson, ClusterName, JobsOfRecordedRun, RepeatedJobs, Set
from orchestrator.cli.shared import print_run
from orchestrator.description.profile_reader import load_profile
from orchestrator.errors import RunError
from orchestrator.lifecycle.refresh import quiet
from orchestrator.lifecycle.retry import launch
from orchestrator.runs.lookup import find_target, runs_root
from orchestrator.views.busy.alike import few_told
from orchestrator.views.busy.line import busy, shown_and_told


def rerun(
    run: JobsOfRecordedRun,
    job: RepeatedJobs = None,
    overrides: Set = None,
    code: Annotated[
        Literal["present", "launched"] | None,
        typer.Option(
            help="The code as it is now (the default for a whole run), or as it was launched (for "
            "jobs: what ran, with its files)."
        ),
    ] = None,
    cluster: ClusterName = None,
    as_json: AsJson = False,
) -> None:
    """Run a recorded experiment again, as a run of its own. It is made from the description that
    the run keeps. With --job only some of its jobs, with what those before them have left."""
    from orchestrator.reproduction.rerun import rerun as rerun_whole
    from orchestrator.reproduction.rerun import rerun_some

    found, jobs = find_target(run, job)
    tell = quiet if as_json else print
    profile = load_profile(cluster) if cluster else None
    if jobs is None:
        made = rerun_whole(
            found, runs_root(), overrides or [], profile, launched=code == "launched", tell=tell
        )
    elif overrides:
        raise RunError(
            "--set makes another experiment of it, and --job repeats a job as it was: leave one out"
        )
    else:
        made = rerun_some(found, runs_root(), jobs, profile, launched=code != "present", tell=tell)
    with busy(f"submitting {made.name}", not as_json) as show, few_told(tell, made.name) as few:
        records = launch(made, shown_and_told(show, few))
    if as_json:
        print_run(made, records)
        return
    print(f"follow it: orch status {made.name}; compare: orch diff {found.name} {made.name}")
