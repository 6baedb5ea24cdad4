"""`orch launch`: submit an experiment whole, or print what would be submitted."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from orchestrator.cli.arguments import AsJson, ClusterName, Experiment, Preset, Set
from orchestrator.cli.shared import (
    follow,
    left_aside,
    planned,
    print_run,
    problems,
    submitted_and_done,
)
from orchestrator.clusters.select import cluster_of
from orchestrator.description.profile import Profile
from orchestrator.description.profile_reader import load_profile
from orchestrator.errors import CheckError
from orchestrator.lifecycle import retry
from orchestrator.lifecycle.batching import make_batches, waits_for
from orchestrator.lifecycle.bounds import budget
from orchestrator.lifecycle.refresh import quiet
from orchestrator.lifecycle.reused.taking import tell_taken, would_take
from orchestrator.planning.plan import Plan
from orchestrator.runs.create import create_run
from orchestrator.runs.lookup import runs_root
from orchestrator.runs.record import Record
from orchestrator.runs.run import Run
from orchestrator.views.busy.alike import few_told
from orchestrator.views.busy.line import busy, shown_and_told
from orchestrator.views.options import origins


def launch(
    experiment: Experiment,
    preset: Preset = None,
    overrides: Set = None,
    cluster: ClusterName = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the exact scripts and submit nothing.")
    ] = False,
    watch: Annotated[
        bool | None,
        typer.Option("--watch/--no-watch", help="Follow the run; the default on a terminal."),
    ] = None,
    as_json: AsJson = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run again what another run has done already.")
    ] = False,
) -> None:
    """Submit an experiment whole. Only what is neither active nor done, in this run or another
    one, is submitted."""
    plan = dataclasses.replace(planned(experiment, preset, overrides, not as_json), reuse=not fresh)
    profile = load_profile(cluster)
    if dry_run:
        print_scripts(plan, profile)
        return
    warnings: list[str] = []
    found = problems(plan, profile, warn=warnings.append, shown=not as_json)
    if found:
        raise CheckError(*found, "nothing was submitted")
    on_terminal = sys.stdout.isatty()
    # JSON has to be the only output, and the live view shows what the messages would say.
    is_silent = as_json or (watch is not False and on_terminal)
    tell: Callable[[str], None] = quiet if is_silent else print
    tell_beforehand(plan, profile, warnings, tell)
    run, records = submitted(plan, profile, tell, shown=not as_json)
    if as_json:
        print_run(run, records)
        return
    print(submitted_and_done(run, records))
    if watch or (watch is None and on_terminal):
        raise typer.Exit(follow(run))


def submitted(
    plan: Plan, profile: Profile, tell: Callable[[str], None], shown: bool
) -> tuple[Run, list[Record]]:
    """The run of a plan, and its jobs with what was submitted. Which files have changed since jobs
    ran that are done is said whatever else is not: a person may think that they have run anew."""
    stale: list[str] = []
    with busy(f"submitting {len(plan.jobs):,} jobs", shown) as show:
        run = create_run(plan, profile, runs_root(), shown_and_told(show, tell))
        with few_told(tell, run.name) as few:
            records = retry.launch(run, shown_and_told(show, few), stale.append)
    for line in stale:
        typer.echo(line, err=True)
    return run, records


def tell_beforehand(
    plan: Plan, profile: Profile, warnings: list[str], tell: Callable[[str], None]
) -> None:
    """What may go wrong, what is left aside, and what the run may cost."""
    for line in [*warnings, *left_aside(plan, profile)]:
        # Not `tell`: whoever reads JSON or the live view should know it too.
        typer.echo(line, err=True)
    hours = budget.said_at_launch(plan, profile)
    if hours:
        tell(hours)


def print_scripts(plan: Plan, profile: Profile) -> None:
    """Every script as a launch would submit it, an array's once, with the ids of earlier jobs as
    names."""
    with tempfile.TemporaryDirectory() as folder:
        # Scripts hold paths of a run folder: they are made in a folder that goes away, and its name
        # is replaced by where the run would lie.
        run = create_run(plan, profile, Path(folder))
        cluster = cluster_of(run)
        by_name = {record.name: record for record in run.load()}
        for line in left_aside(plan, profile):
            print(f"# {line}")
        own = runs_root() / run.name
        taken = would_take(run, run.load(), runs_root(), own)
        tell_taken(taken, lambda line: print(f"# {line}"))
        by_name.update((record.name, record) for record in taken.records)
        rest = by_name.keys() - taken.sources.keys()
        batches = make_batches(run, list(by_name.values()), set(rest), cluster.array_size())
        for batch in batches:
            ids = batch.ids(f"<id of {batch.title}>")
            script = cluster.script(batch, waits_for(batch, by_name))
            # Later scripts name these ids in their dependencies.
            for record, job_id in zip(batch.records, ids, strict=True):
                by_name[record.name] = replace(record, job_id=job_id)
            script = script.replace(str(run.folder.parent.parent), str(runs_root()))
            print(f"# ---- {batch.title}")
            for line in origins(batch.jobs[0], profile):
                print(f"# {line}")
            print(script)
            if batch.indexes or batch.packed:
                for record, job_id in zip(batch.records, ids, strict=True):
                    print(f"# {job_id}: {record.name}")
