"""Make the folder of a run: its plan, its jobs' files, and what it was launched with.

In: a plan, the profile of the cluster, and the folder of the runs. Out: a ``Run``, everything of
which is on disk; a run that was there takes the new resources, and other jobs where some of its
were replaced. Called by `orch launch`, `orch evolve` and `orch rerun` before anything is submitted.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from jobs.spec import Job, Resources
from orchestrator.description.profile import Profile
from orchestrator.errors import RunError
from orchestrator.node.reads.output import read_finished
from orchestrator.node.system import write_json
from orchestrator.planning.plan import Plan
from orchestrator.runs.choices.files import forget
from orchestrator.runs.documents.job_files import JOB, is_whole, write_jobs
from orchestrator.runs.documents.lock import locked
from orchestrator.runs.documents.people import group_may_write, make_run_folder
from orchestrator.runs.documents.reading import document
from orchestrator.runs.layout import OUT, RESULTS
from orchestrator.runs.lookup import open_run, run_of
from orchestrator.runs.plan_file import NAME as PLAN
from orchestrator.runs.plan_file import DamagedPlan, PlanFile, read_plan, write_plan
from orchestrator.runs.provenance.launches import Tell, note, quiet
from orchestrator.runs.record import ACTIVE, Record
from orchestrator.runs.reuse.bring import put_aside
from orchestrator.runs.run import Run, waiting
from orchestrator.runs.tracking.settings import write_settings


def create_run(
    plan: Plan,
    profile: Profile,
    root: Path,
    tell: Tell = quiet,
    suffix: str = "",
    again: dict[str, Any] | None = None,
) -> Run:
    """Make the run's folder with plan.json and the jobs' files; a run that is there is opened and
    takes the new resources.

    Either way the code is kept as it is now, and what is submitted next runs it.

    Args:
        suffix: what the folder's name ends in; a rerun has one.
        again: a launch of another run whose code is taken instead.
    """
    folder = root / f"{plan.run_name}{suffix}"
    root.mkdir(parents=True, exist_ok=True)
    with group_may_write(root):
        make_run_folder(folder, root)
    # Two terminals that launch at once make one run, with one uid.
    with locked(folder):
        damaged = set_aside_damaged_plan(folder, tell)
        if damaged or not (folder / PLAN).exists():
            note(folder, plan, Path.cwd(), "rerun" if suffix else "launch", tell, again)
            return new_run(folder, plan, profile, damaged)
    return opened_again(folder, plan, profile, tell)


def set_aside_damaged_plan(folder: Path, tell: Tell) -> bool:
    """Rename a plan file that cannot be read; whether there was one. RunError if a newer version
    has written it."""
    path = folder / PLAN
    try:
        read_plan(folder)
    except FileNotFoundError:
        return False
    except DamagedPlan as error:
        path.replace(folder / f"{PLAN}.damaged")
        tell(f"{error.lines[0]}; kept as {PLAN}.damaged, and made anew")
        return True
    return False


def new_run(folder: Path, plan: Plan, profile: Profile, damaged: bool = False) -> Run:
    """Fill the folder. plan.json comes last of what a launch needs: without it the next launch
    begins anew.

    Args:
        damaged: there was one that could not be read; what is known of the jobs stays.
    """
    held = PlanFile(
        plan=plan.below(folder),
        profile=asdict(profile),
        uid=secrets.token_hex(8),
        cwd=str(Path.cwd()),
        created=time.time(),
    )
    # A kill before plan.json leaves a folder that the next launch fills again, with another uid.
    # Nothing has been submitted under the first one.
    write_jobs(folder, held.plan)
    write_settings(folder, held)
    write_plan(folder, held)
    run = run_of(folder, held)
    # Without a state file every job's folder would be searched, to find the same.
    run.save(run.load() if damaged else map(waiting, run.plan.jobs))
    return run


def opened_again(folder: Path, plan: Plan, profile: Profile, tell: Tell) -> Run:
    """The run that is there. Resources are not part of a job's identity: more time or memory for it
    is what a relaunch may bring."""
    run = open_run(folder)
    # Ids and tokens in the state file are the other scheduler's; this one knows none of them.
    if run.profile.kind != profile.kind:
        raise RunError(
            f"{run.name} was launched on '{run.profile.name}'; continue it there "
            f"(--cluster {run.profile.name}, or its .yaml file if it is your own), or set "
            "ORCH_RUNS to another folder to run it a second time"
        )
    with run.lock():
        # Read again with the lock held: uid, folder and time of the first launch stay.
        held = replace(read_plan(folder), plan=plan.below(folder), profile=asdict(profile))
        changes = changed_jobs(open_run(folder), held.plan)
        refuse_active(changes)
        note(folder, plan, Path(run.cwd), "launch", tell)
        if held.moved:
            write_jobs(folder, held.plan, cwd=held.cwd)
        if changes.new or changes.retired:
            # First: a kill behind it leaves no results that could be taken for other ones.
            set_aside(run, changes, held.plan, tell)
            write_jobs(folder, held.plan, changes.new, held.cwd)
        write_settings(folder, held)
        write_plan(folder, held)
        if changes.new or changes.retired:
            take_over(run_of(folder, held), changes)
        read = {job.name: ask_anew(folder, held, job) for job in plan.jobs}
        tell_read(read, tell)
    return run_of(folder, held)


def ask_anew(folder: Path, held: PlanFile, job: Job) -> list[str] | None:
    """Let a job that was there ask for what the plan says now. What is wrong with the files of a
    finished one that were read again for that; None where none were."""
    path = folder / job.folder / JOB
    # Mostly nothing differs, and thousands of files need not be written.
    asked = document(path, Asked, "written anew")
    if asked is None or not is_whole(folder, job):
        write_jobs(folder, held.plan, {job.name}, held.cwd)
        return None
    reads = job.config.get("reads") if job.engine is None else None
    wanted = Asked(job.resources, reads, held.plan.lost_at_most)
    if asked != wanted:
        changed = asdict(wanted)
        del changed["identity"]
        write_json(path, {**json.loads(path.read_text()), **changed})
    finished = (path.parent / OUT / RESULTS).exists()
    if not finished or asked.reads == wanted.reads or wanted.reads is None:
        return None
    # Neither is what is read of it: what is done is looked at again and not run again.
    return read_finished(str(path.parent))


def tell_read(read: Mapping[str, list[str] | None], tell: Tell) -> None:
    """Say of which jobs files were read again; of many that are alike the first one."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, problems in read.items():
        if problems is not None:
            alike.setdefault(tuple(problems), []).append(name)
    for told, names in alike.items():
        more = f" and {len(names) - 1} more jobs" if len(names) > 1 else ""
        tell("; ".join([f"{names[0]}{more}: read again", *told]))


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a new plan changes."""

    known: dict[str, Record]
    """The records so far, by name."""
    new: set[str]
    """Jobs that were not there, or that do other work now."""
    back: set[str]
    """Those of them that were there in an earlier plan, with the same work."""
    retired: set[str]
    """Jobs that are not in the plan any more."""


def changed_jobs(run: Run, plan: Plan) -> Changes:
    """What is different from the run as it is. Most often nothing is."""
    before = {job.name: job.identity for job in run.plan.jobs}
    now = {job.name: job for job in plan.jobs}
    new = {name for name, job in now.items() if before.get(name) != job.identity}
    retired = before.keys() - now.keys()
    known = {record.name: record for record in run.load()} if new or retired else {}
    back = {name for name in new - before.keys() if on_disk(run, now[name])}
    return Changes(known=known, new=new, back=back, retired=retired)


def on_disk(run: Run, job: Job) -> bool:
    """Whether the folder of a job is there and was made for the same work."""
    said = document(run.job_folder(job) / JOB, Asked, "written anew")
    return said is not None and said.identity == job.identity


def refuse_active(changes: Changes) -> None:
    """RunError if a job that is replaced, or whose work changes, is at it now."""
    for name in sorted(changes.new | changes.retired):
        record = changes.known.get(name)
        if record is not None and record.state in ACTIVE:
            raise RunError(
                f"{name} is {record.state}, and what the experiment file replaces changes its "
                f"work; end it first: orch cancel --job {name}, then launch again"
            )


def set_aside(run: Run, changes: Changes, plan: Plan, tell: Tell) -> None:
    """Move what jobs that do other work now have left so far out of the way (``out.before-1``): it
    must not be taken for what they will leave."""
    for job in plan.jobs:
        out = run.out_folder(job)
        if job.name in changes.new - changes.back:
            forget(run.folder, job.folder)
        if job.name not in changes.new - changes.back or not out.exists():
            continue
        aside = put_aside(out)
        tell(f"{job.name}: its results so far are of other jobs; they lie in {aside}")


def take_over(run: Run, changes: Changes) -> None:
    """Save the records of the new plan: those of unchanged jobs as they were, the others WAITING.

    A job that comes back is found by its folder. An attempt's number is never used twice: its token
    is what the scheduler knows it by.
    """
    rebuilt = {record.name: record for record in run.rebuilt()}
    records = []
    for job in run.plan.jobs:
        record = changes.known.get(job.name) or rebuilt.get(job.name) or waiting(job)
        if job.name in changes.new - changes.back:
            record = replace(waiting(job), attempt=record.attempt, exclude=record.exclude)
        records.append(record)
    run.save(records)


@dataclass(frozen=True)
class Asked:
    """What a ``job.json`` says and a later launch may change."""

    resources: Resources
    reads: dict[str, Any] | None = None
    lost_at_most: int | None = None
    identity: str = field(default="", compare=False)
