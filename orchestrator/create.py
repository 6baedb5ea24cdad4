"""Make the folder of a run: its plan, its jobs' files, and what it was launched with."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jobs.spec import Job
from orchestrator import provenance
from orchestrator.errors import RunError
from orchestrator.node_basics import write_json
from orchestrator.plan import Plan
from orchestrator.profile import Profile
from orchestrator.provenance import Tell, code_of, quiet
from orchestrator.run import Run, locked, open_run


def create_run(plan: Plan, profile: Profile, root: Path, tell: Tell = quiet, suffix: str = "",
               again: dict[str, Any] | None = None) -> Run:
    """Make the run's folder with plan.json and the jobs' files; a run that is there is opened and takes the new resources.

    Either way the code is kept as it is now, and what is submitted next runs it. ``suffix``: of the folder's name; ``again``: a launch
    whose code is taken instead.
    """
    folder = root / plan.experiment / f"{plan.preset or 'full'}-{plan.identity[:8]}{suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):  # two terminals that launch at once make one run, with one uid
        made = not (folder / "plan.json").exists()
        if made:
            document = plan.to_json(folder)
            provenance.note(folder, plan, Path.cwd(), "launch" if not suffix else "rerun", tell, again)
            write_jobs(folder, Plan.from_json(document))
            write_json(folder / "plan.json", {
                "plan": document, "profile": asdict(profile), "uid": secrets.token_hex(8), "cwd": str(Path.cwd()), "created": time.time()})
    return open_run(folder) if made else opened_again(folder, plan, profile, tell)


def opened_again(folder: Path, plan: Plan, profile: Profile, tell: Tell) -> Run:
    """The run that is there. Resources are not part of a job's identity: more time or memory for it is what a relaunch may bring."""
    run = open_run(folder)
    if run.profile.kind != profile.kind:
        raise RunError(f"{run.name} was launched on '{run.profile.name}'; continue it there (--cluster {run.profile.name}), or set "
                       "ORCH_RUNS to another folder to run it a second time")
    with run.lock():
        provenance.note(folder, plan, Path(run.cwd), "launch", tell)
        values = json.loads((folder / "plan.json").read_text())
        write_json(folder / "plan.json", {**values, "plan": plan.to_json(folder), "profile": asdict(profile)})
        for job in plan.jobs:
            path = folder / job.folder / "job.json"
            values = json.loads(path.read_text())
            if values["resources"] != asdict(job.resources):
                write_json(path, {**values, "resources": asdict(job.resources)})
    return open_run(folder)


def write_jobs(folder: Path, plan: Plan) -> None:
    """Everything a node needs, on disk before anything is submitted."""
    root, cwd = str(folder.resolve()), str(Path.cwd())
    work = code_of(folder).work if plan.snapshot else None
    folders = {job.name: f"{root}/{job.folder}" for job in plan.jobs}
    for job in plan.jobs:
        place = Path(folders[job.name])
        place.mkdir(parents=True, exist_ok=True)
        # Not flushed to the disk one by one: plan.json comes last, and without it the next launch writes all of them again.
        (place / "config.json").write_text(json.dumps(job.config, indent=1))
        (place / "job.json").write_text(json.dumps(job_values(job, folders, cwd if work is None or job.engine else str(work)), indent=1))


def job_values(job: Job, folders: dict[str, str], cwd: str) -> dict[str, Any]:
    """What job.json holds."""
    return {"name": job.name, "stage": job.stage, "axes": job.axes, "engine": job.engine, "command": job.command,
            "needs": {name: folders[name] for name in job.after}, "cwd": cwd, "identity": job.identity, "resources": asdict(job.resources)}
