"""`orch`: parse, call one function, print what it returns. Heavy imports happen inside the commands, so that `--help` is fast."""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator import completion, quick
from orchestrator.arguments import AsJson, ClusterName, Experiment, Jobs, Preset, RunName, Set
from orchestrator.errors import CheckError, OrchError, SubmitError
from orchestrator.looks_cli import costs, follow, list_runs, logs, page, report, status, watch, why
from orchestrator.provenance_cli import diff, profile_app, rerun
from orchestrator.scores_cli import compare, evolve, results

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.plan import Plan
    from orchestrator.profile import Profile

SETTINGS: dict[str, Any] = {
    "help": "Describe a machine-learning experiment once and run it whole, on Slurm or on this machine.", "no_args_is_help": True,
    "pretty_exceptions_enable": False, "rich_markup_mode": None, "context_settings": {"help_option_names": ["-h", "--help"]}}
app = typer.Typer(**SETTINGS)

data_app = typer.Typer(help="Prepare the data that training and evaluation read.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(profile_app, name="profile")

def planned(experiment: str, preset: str | None, overrides: list[str] | None) -> Plan:
    """The plan of an experiment given by name or path."""
    from orchestrator.description import find_experiment
    from orchestrator.plan import make_plan

    return make_plan(find_experiment(experiment), preset, overrides or [])


def problems(plan: Plan, profile: Profile, tell: Callable[[str], None] = lambda _: None) -> list[str]:
    """Everything that check finds; ``tell`` gets when Slurm would start a job of each kind."""
    from orchestrator.check import check as check_plan
    from orchestrator.run import runs_root

    return check_plan(plan, profile, runs=runs_root(), tell=tell)


def plan(experiment: Experiment, preset: Preset = None, overrides: Set = None, as_json: AsJson = False) -> None:
    """Show the jobs of an experiment, what waits for what, resources and GPU-hours asked for. Submits nothing."""
    made = planned(experiment, preset, overrides)
    if as_json:
        keys = ("name", "stage", "axes", "after", "resources", "pack", "canary")
        print(json.dumps([{key: job[key] for key in keys} for job in made.to_json()["jobs"]], indent=1))
        return
    from rich.console import Console

    from orchestrator.plan_view import render_plan

    Console().print(render_plan(made))


def check(experiment: Experiment, preset: Preset = None, overrides: Set = None, cluster: ClusterName = None) -> None:
    """Check what a launch needs: partition, account, GPU type, time limit, paths, variables, batch arithmetic, disk."""
    from orchestrator.profile import load_profile

    made, profile = planned(experiment, preset, overrides), load_profile(cluster)
    starts: list[str] = []
    found = problems(made, profile, starts.append)
    if found:
        raise CheckError(*found)
    print("\n".join(starts), end="\n" if starts else "")
    print(f"{made.experiment}: {len(made.jobs)} jobs, nothing missing on '{profile.name}'")


def launch(experiment: Experiment, preset: Preset = None, overrides: Set = None, cluster: ClusterName = None,
           dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the exact scripts and submit nothing.")] = False,
           watch: Annotated[bool | None, typer.Option("--watch/--no-watch", help="Follow the run; the default on a terminal.")] = None,
           as_json: AsJson = False) -> None:
    """Submit an experiment whole. Launched again, it submits only what is neither done nor active."""
    from orchestrator.create import create_run
    from orchestrator.profile import load_profile
    from orchestrator.run import runs_root
    from orchestrator.submit import submit_eligible

    made, profile = planned(experiment, preset, overrides), load_profile(cluster)
    if dry_run:
        print_scripts(made, profile)
        return
    found = problems(made, profile)
    if found:
        raise CheckError(*found, "nothing was submitted")
    quiet = as_json or (watch is not False and sys.stdout.isatty())
    tell = (lambda _: None) if quiet else print
    run = create_run(made, profile, runs_root(), tell)
    records = submit_eligible(run, tell)
    if as_json:
        from orchestrator.status import document

        print(json.dumps(document(run, records, ""), indent=1))
        return
    submitted = sum(record.source == "orch" and record.state == "PENDING" for record in records)
    done = sum(record.state == "COMPLETED" for record in records)
    print(f"{run.name}: {submitted} jobs submitted, {done} of {len(records)} done before; look at it: orch status {run.name}")
    if watch or (watch is None and sys.stdout.isatty()):
        raise typer.Exit(follow(run))


def print_scripts(made: Plan, profile: Profile) -> None:
    """Every script as a launch would submit it, an array's once, with the ids of earlier jobs as names."""
    import tempfile
    from dataclasses import replace

    from orchestrator.arrays import make_batches, waits_for
    from orchestrator.cluster import cluster_of
    from orchestrator.create import create_run
    from orchestrator.run import runs_root

    with tempfile.TemporaryDirectory() as folder:
        run = create_run(made, profile, Path(folder))
        cluster = cluster_of(run)
        by_name = {record.name: record for record in run.load()}
        for batch in make_batches(run, list(by_name.values()), set(by_name), cluster.array_size()):
            ids = batch.ids(f"<id of {batch.title}>")
            text = cluster.script(batch, waits_for(batch, by_name))
            by_name.update((record.name, replace(record, job_id=own)) for record, own in zip(batch.records, ids, strict=True))
            print(f"# ---- {batch.title}\n{text.replace(str(run.folder.parent.parent), str(runs_root()))}")
            if batch.indexes or batch.packed:
                print("".join(f"# {own}: {record.name}\n" for record, own in zip(batch.records, ids, strict=True)), end="")


def cancel(run: RunName = None, job: Jobs = None) -> None:
    """End active jobs, and those that wait. What is done stays done; orch retry starts them again."""
    from orchestrator.run import find_run
    from orchestrator.steer import cancel as end

    found = find_run(run)
    names = end(found, job)
    print("\n".join(f"cancelled {name}" for name in names) or f"{found.name}: nothing is active")


def advance(run: RunName = None) -> None:
    """Look at gates and limits, and submit what they let through. Other commands do it too; on Slurm a job of one core calls this one."""
    import time

    from orchestrator.run import find_run
    from orchestrator.submit import advance as look
    from orchestrator.watch import SETTLE_SECONDS, settling

    found = find_run(run)
    told: list[str] = []
    records, trouble = look(found, told.append)
    deadline = time.monotonic() + SETTLE_SECONDS
    while "SLURM_JOB_ID" in os.environ and settling(records) and time.monotonic() < deadline:
        time.sleep(5.0)  # this job came because others have ended: what became of them is known within a minute
        records, trouble = look(found, told.append)
    print("\n".join(told) or f"{found.name}: nothing to submit")
    if trouble:
        raise SubmitError(f"could not ask: {trouble}")


def override(job: Annotated[str, typer.Argument(help="A job's name, or a stage for all of its jobs.", autocompletion=completion.jobs)],
             reason: Annotated[str, typer.Option(help="Why; it is kept with the decision.")],
             runs: Annotated[bool, typer.Option("--run/--skip", help="Let the jobs run whatever their gate says, or skip them.")],
             run: Annotated[str | None, typer.Option("--in", metavar="RUN", help="The run; the newest without it.",
                                                    autocompletion=completion.runs)] = None) -> None:
    """Decide in place of a gate. The reason is kept, and shown by orch why."""
    from orchestrator.run import find_run
    from orchestrator.steer import override as decide

    print("\n".join(decide(find_run(run), job, runs, reason)))


def retry(run: RunName = None, job: Jobs = None) -> None:
    """Submit failed jobs again, and what waited for them. Training continues from its newest checkpoint."""
    from orchestrator.provenance import note
    from orchestrator.run import find_run
    from orchestrator.submit import retry as again

    found = find_run(run)
    told: list[str] = []
    with found.lock():
        note(found.folder, found.plan, Path(found.cwd), "retry", told.append)
    again(found, job, told.append)
    print("\n".join(told) or f"{found.name}: nothing to retry")


for command in (plan, check, launch, status, watch, logs, list_runs, cancel, advance, override, why, retry, costs, page, report,
                evolve, compare, results, rerun, diff):  # what a run needs first: help lists them in this order
    app.command("list" if command is list_runs else None)(command)


@data_app.command("prepare")
def data_prepare(
        source: Annotated[str, typer.Argument(help="A folder of GURU files, a data set on the Hugging Face hub, a .yaml file "
                                              "{task: file or files}, or: miniature.")],
        out: Annotated[Path, typer.Option("--out", help="Folder to write <task>.train|validation|test.parquet and data.json to.")],
        validation: Annotated[int | None, typer.Option(min=0, help="Validation problems per task: 200, of miniature 40.")] = None,
        test: Annotated[int | None, typer.Option(min=0, help="Test problems per task: 200, of miniature 60.")] = None,
        seed: Annotated[int, typer.Option(min=0, help="Decides which problem goes where.")] = 0) -> None:
    """Split raw problems into files without a problem in common. Done already, it changes nothing."""
    from rich.console import Console

    from orchestrator.data import counts, prepare

    manifest, before = prepare(source, out, validation, test, seed)
    Console().print(counts(manifest))
    print(f"{out}: {len(manifest['files'])} files, {'prepared before, nothing to do' if before else 'listed in data.json'}")


def main() -> None:
    """Run `orch`. A mistake of the user is one line (or one per mistake) and exit code 2."""
    gc.set_threshold(200_000)  # thousands of records are made at once and none of them is garbage
    try:
        if completion.VARIABLE in os.environ:
            completion.complete(app)
            return
        quick.program(app, sys.argv[1:], **SETTINGS)()
    except OrchError as error:
        for line in error.lines:
            print(f"orch: {line}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of a pipe, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
