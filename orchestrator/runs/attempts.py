"""Stage an attempt: make what lies on disk of it before it is submitted.

In: the run, the jobs with what these attempts ask for, and their records. Out: the folder of each
attempt, a link to its log, and ``members.json`` for an array or a pack. Called by the lifecycle
just before it submits a batch. ``end_member`` ends one job of a pack, for `orch cancel`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict

from jobs.spec import Job
from jobs.stages import literal
from orchestrator.description.catalogue import warm_modules
from orchestrator.node.claims import NODE_FAILURE
from orchestrator.node.system import CANCEL, claim_of, take, write_json
from orchestrator.runs.choices.files import settle
from orchestrator.runs.choices.rounds import at_point, points_of
from orchestrator.runs.documents.job_files import CONFIG, JOB, is_whole, write_jobs
from orchestrator.runs.documents.launch_files import write_launch
from orchestrator.runs.documents.reading import Starts, mapping
from orchestrator.runs.plan_file import read_plan, write_plan
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run


def prepare(run: Run, jobs: Sequence[Job], records: Sequence[Record]) -> None:
    """Make what a batch needs on disk before it is submitted.

    Args:
        jobs: with what these attempts ask for, which may be more than the plan says.
        records: of the same jobs.
    """
    if run.moved:
        settle_here(run)
    # Everything a node reads is there before sbatch runs: the job may start at once.
    work = run.code().work
    points = points_of(run, {job.stage for job in jobs})
    for job, record in zip(jobs, records, strict=True):
        # A link made here holds for good, also if this process is killed before it submits.
        chosen = settle(run, job) if job.name in run.plan.choices else None
        # The first attempt follows the launch that wrote them; later ones mend what was damaged.
        if record.attempt > 1 and not is_whole(run.folder, job):
            write_jobs(run.folder, run.plan, {job.name}, run.cwd)
        update_job_file(run, at_point(run, job, points), record, work, chosen)
        attempt = f"{run.folder}/{record.folder}/attempt-{record.attempt}"
        make_attempt_folder(attempt)
        link_log(attempt, record)
    write_launch(run, records)
    # The token of an element or a member is longer than its head: `3fa9...`, `3fa9..._4`,
    # `3fa9..._4+1`.
    if records[0].token != records[0].parsed_token.head:
        write_members(run, jobs[0], records)


def settle_here(run: Run) -> None:
    """Write the paths of a run that was moved as they are here, for its nodes and for all that open
    it from now on."""
    held = read_plan(run.folder)
    # Of several batches the first one does it.
    if held.moved:
        write_jobs(run.folder, held.plan, cwd=held.cwd)
        write_plan(run.folder, held)


def update_job_file(
    run: Run, job: Job, record: Record, work: Path | None, chosen: Job | None = None
) -> None:
    """Note in ``job.json`` what differs from the launch: resources that a retry has raised, how
    many starts may still be lost, the newest copy of the folder that a command runs in, what a
    search has drawn for it, and the best job of others that it follows."""
    changed: dict[str, Any] = {}
    used, most = record.retries.get(NODE_FAILURE, 0), run.plan.lost_at_most
    if used and most is not None:
        changed["lost_at_most"] = max(0, most - used)
    if job.stage in run.plan.searches:
        changed |= {"axes": job.axes, "command": job.command}
        if job.engine is not None:
            write_json(run.job_folder(job) / CONFIG, job.config)
    if job.resources != run.by_name[job.name].resources:
        changed["resources"] = asdict(job.resources)
    if work is not None and job.is_users:
        changed["cwd"] = str(work)
    if chosen is not None:
        changed |= following(run, job, chosen)
    if changed:
        path = run.job_folder(job) / JOB
        known = mapping(path, "written anew")
        if known is None:
            write_jobs(run.folder, run.plan, {job.name}, run.cwd)
            known = mapping(path, "written anew") or {}
        write_json(path, {**known, **changed})


def following(run: Run, job: Job, chosen: Job) -> dict[str, Any]:
    """What ``job.json`` says of the chosen job: that it is needed, and its values on the axes in a
    command."""
    names = [*job.after, chosen.name]
    command = list(job.command or ())
    for axis, value in chosen.axes.items():
        command = [word.replace(f"{{{axis}}}", literal(value)) for word in command]
    return {
        "needs": {name: str(run.job_folder(run.by_name[name]).resolve()) for name in names},
        "chosen": {"job": chosen.name, "axes": chosen.axes},
        "command": command or None,
    }


def make_attempt_folder(attempt: str) -> None:
    """Make the folder. It may be there: an intent that was dropped before anything was submitted
    leaves one, perhaps with a link to a log."""
    # os instead of Path: thousands of jobs are submitted at once.
    try:
        os.mkdir(attempt)  # noqa: PTH102
    except FileNotFoundError:
        os.makedirs(attempt)  # noqa: PTH103
    except FileExistsError:
        if os.path.islink(f"{attempt}/log.txt"):  # noqa: PTH114
            os.unlink(f"{attempt}/log.txt")  # noqa: PTH108


def link_log(attempt: str, record: Record) -> None:
    """Let the log of an element of an array, or of a member of a pack, be found in its attempt: the
    scheduler writes it into the folder that they share."""
    token = record.parsed_token
    if record.token == token.head:
        return
    # sbatch names the log of an element by its index (`%a`). That of a member is written through
    # this link, under the member's token.
    name = token.index if token.member is None else record.token
    # From jobs/<job>/attempt-1 three steps up to the run's folder. A relative link still leads
    # there when the run is moved.
    up = "../" * (record.folder.count("/") + 2)
    os.symlink(f"{up}arrays/{token.head}/{name}.log", f"{attempt}/log.txt")  # noqa: PTH211


def write_members(run: Run, job: Job, records: Sequence[Record]) -> None:
    """Tell the elements of an array, or one pack, which job is theirs; what the file says of other
    elements stays. ``job``: any of them.

    The key is the index of the element, "" where there is no array. The value is a job's folder and
    attempt, or for a pack those of every member.
    """
    path = run.array_folder(records[0].parsed_token.head) / "members.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Other elements may have been submitted under this head before, and still wait.
    before: dict[str, Any] = mapping(path, "made anew from the state file") or {}
    if path.exists() and not before:
        head = records[0].parsed_token.head
        before = members(run, job, [one for one in run.load() if one.token.startswith(head)])
    added = members(run, job, records)
    # A repeated submission often adds nothing; then the file need not be written.
    if before | added != before:
        write_json(path, before | added)


def members(run: Run, job: Job, records: Sequence[Record]) -> dict[str, Any]:
    """What ``members.json`` says of these records."""
    warm: list[str] = []
    if job.engine is not None and any(record.packed for record in records):
        warm = warm_modules(job.engine)
    added: dict[str, Any] = {}
    for record in records:
        index = record.parsed_token.index
        key = "" if index is None else str(index)
        entry = [f"{run.folder}/{record.folder}", record.attempt]
        if record.packed:
            pack = added.setdefault(key, {"pack": [], "warm": warm})
            if job.at_once is not None:
                pack["at_once"] = job.at_once
            pack["pack"].append([*entry, record.token])
        else:
            added[key] = entry
    return added


class Held(TypedDict):
    """What a claim says of who has the attempt."""

    job_id: str
    restart: Starts


def end_member(run: Run, record: Record) -> bool:
    """Have one member of a pack end. True if it does not run, and now never will; else its node
    looks for this at SIGUSR1."""
    attempt = run.attempt_folder(record)
    (attempt / CANCEL).touch()
    # A node takes the claim before it starts anything, so only one of the two gets it.
    if take(attempt, claim_of(record.token, "orch")):
        write_cancelled(attempt, record.token, "orch", restart=0)
        return True
    if record.state is not JobState.PENDING:
        return False
    # It waits to be started again. As if that start had come and had ended: the node starts no
    # member again whose newest record says that it ended by itself.
    held = mapping(attempt / "claim.json", "its node starts nothing by it", Held)
    if held is None:
        return True
    with contextlib.suppress(FileNotFoundError, FileExistsError):
        (attempt / f"exit-{held['restart']}.json").hardlink_to(attempt / "exit.json")
    restart = held["restart"] + 1
    write_json(attempt / "claim.json", held | {"restart": restart})
    write_cancelled(attempt, record.token, held["job_id"], restart)
    return True


def write_cancelled(attempt: Path, token: str, job_id: str, restart: int) -> None:
    """The exit record of a start that never came."""
    now = time.time()
    write_json(
        attempt / "exit.json",
        {
            "token": token,
            "job_id": job_id,
            "pid": os.getpid(),
            "exit_code": 1,
            "host": socket.gethostname(),
            "started": now,
            "ended": now,
            "results": False,
            "requeued": False,
            "restart": restart,
            "signals": [],
            "state": str(JobState.CANCELLED),
            "reason": "cancelled before it started" + (" again" if restart else ""),
        },
    )
