"""``job.json`` and ``config.json`` of a job: all that its node is told of it.

In: a run's folder and its plan. Out: the files, also anew where one of them is damaged. Called when
a run is made (orchestrator/runs/create.py) and before an attempt is submitted again (attempts.py).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Set
from pathlib import Path
from typing import Any

import msgspec

from engines.contract.counting.counts import counted
from jobs.spec import Job
from orchestrator.node.light.forms import Damaged, read_job
from orchestrator.planning.plan import Plan
from orchestrator.runs.documents.reading import content_of, decoded

JOB, CONFIG = "job.json", "config.json"


def is_whole(folder: Path, job: Job) -> bool:
    """Whether the files of a job can be read, by the node as by us."""
    try:
        if read_job(f"{folder}/{job.folder}/{JOB}").get("identity") is None:
            return False
        if job.engine is not None:
            decoded(content_of(folder / job.folder / CONFIG), dict[str, Any])
    except (Damaged, OSError, ValueError):
        return False
    return True


def write_jobs(
    folder: Path, plan: Plan, only: Set[str] | None = None, cwd: str | None = None
) -> None:
    """Everything a node needs, on disk before anything is submitted; of all jobs, or of these.

    Args:
        cwd: where the run was launched; None: here.
    """
    root, cwd = str(folder.resolve()), cwd or str(Path.cwd())
    work = None
    if plan.snapshot:
        # git and the patterns of secrets: a pass that restores nothing needs none of it.
        from orchestrator.runs.provenance.launches import code_of

        work = code_of(folder).work
    folders = {job.name: f"{root}/{job.folder}" for job in plan.jobs}
    (folder / "jobs").mkdir(exist_ok=True)
    wanted = [job for job in plan.jobs if only is None or job.name in only]
    for job in counted("writing the jobs' files", wanted):
        job_folder = folders[job.name]
        with contextlib.suppress(FileExistsError):
            os.mkdir(job_folder)  # noqa: PTH102  # thousands of them
        # Engines come from the copy in runs/.code, whatever folder they run in.
        in_copy = work is not None and job.is_users
        values = job_values(job, folders, str(work) if in_copy else cwd)
        values["lost_at_most"] = plan.lost_at_most
        write_unflushed(f"{job_folder}/{JOB}", values)
        if job.engine is not None:
            write_unflushed(f"{job_folder}/{CONFIG}", job.config)


def write_unflushed(path: str, document: dict[str, Any]) -> None:
    """Write JSON without waiting for the disk, as thousands of files one by one would have to.
    plan.json comes last, and without it the next launch writes all of them again."""
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(indented(document))


def indented(document: dict[str, Any]) -> bytes:
    """JSON for people, by C code: Python's own writes indented JSON ten times as slowly."""
    try:
        return msgspec.json.format(json.dumps(document).encode(), indent=1)
    except msgspec.DecodeError:  # a number that is none in strict JSON: NaN, Infinity
        return json.dumps(document, indent=1).encode()


def job_values(job: Job, folders: dict[str, str], cwd: str) -> dict[str, Any]:
    """What job.json holds."""
    return {
        "name": job.name,
        "stage": job.stage,
        "axes": job.axes,
        "engine": job.engine,
        "command": job.command,
        # Of a command whose stage has ``checkpoints``: whose, and which.
        "checkpoints": job.config.get("models") if job.engine is None else None,
        # Of a command that asks for it: where the job that it follows has written into.
        "followed": job.config.get("followed") if job.engine is None else None,
        # Of a command: what a framework below it writes.
        "reads": job.config.get("reads") if job.engine is None else None,
        "needs": {name: folders[name] for name in job.after},
        # Of a command in an evolution: what its evaluation follows in the run that it is from, and
        # where it runs there.
        "beside": job.config.get("beside", {}) if job.engine is None else {},
        "cwd": job.config.get("cwd", cwd) if job.engine is None else cwd,
        "identity": job.identity,
        "resources": job.resources.to_dict(),
    }
