"""What a person asks of a job that has run: which command, code, files, environment and seeds.

In: a run. Out: ``RanFacts`` of its jobs, and one line of each for `orch why`. Read from what was
noted when each attempt was submitted (orchestrator/runs/provenance/ran.py). Called by why.py and
page.py.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.spec import Job
from orchestrator.runs.documents.reading import mapping
from orchestrator.runs.layout import out_folder
from orchestrator.runs.provenance.launches import summary
from orchestrator.runs.provenance.ran import Ran, RanJobs
from orchestrator.runs.run import Run
from orchestrator.views.moments import stamp

SEED = "seed"


@dataclass(frozen=True, kw_only=True)
class RanFacts:
    """What one job has run."""

    job: Job
    ran: Ran
    command: str
    """As it was started, for a shell."""
    seeds: str
    """``seed=0, data_seed=3``; empty where nothing is called so."""


def ran_facts(run: Run) -> list[RanFacts]:
    """What the jobs of a run have run, in the order of the plan; without those that never ran."""
    known = RanJobs(run)
    found = []
    for job in run.plan.jobs:
        ran = known.of(job)
        if ran is not None:
            found.append(facts_of(run, job, ran))
    return found


def facts_of(run: Run, job: Job, ran: Ran) -> RanFacts:
    """What one job has run."""
    return RanFacts(job=job, ran=ran, command=command_of(run, job), seeds=seeds_of(job))


def command_of(run: Run, job: Job) -> str:
    """The command line of a job, for a shell."""
    folder = run.job_folder(job)
    if job.engine is not None:
        module = f"engines.contract.own {job.engine}" if job.is_users else f"engines.{job.engine}"
        python = run.profile.python or "python"
        return f"{python} -P -u -m {module} {folder}/config.json --out {folder}/out"
    # With what was drawn or chosen for it.
    told = mapping(folder / "job.json", "left out")
    words = told.get("command") if told is not None else None
    return shlex.join(map(str, words if isinstance(words, list) else job.command or ()))


def seeds_of(job: Job) -> str:
    """Every value of a job's axes and config whose name ends in ``seed``, each once."""
    found = dict(seeds_in({**job.config, **job.axes}))
    return ", ".join(f"{name}={json.dumps(value)}" for name, value in found.items())


def seeds_in(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names with dots, and values."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from seeds_in(value, f"{prefix}{name}.")
        elif name.endswith(SEED) and isinstance(value, int | str):
            yield f"{prefix}{name}", value


def environment_of(ran: Ran) -> dict[str, Any]:
    """What an engine noted of where it ran; else what its launch noted of the Python of orch; empty
    where neither did."""
    if ran.line is not None:
        path = out_folder(ran.run_folder, ran.line.folder) / "environment.json"
        noted = mapping(path, "left out") if path.exists() else None
        if noted is not None:
            return noted
    return dict(ran.launch["environment"]) if ran.launch is not None else {}


def ran_lines(run: Run, job: Job) -> list[str]:
    """What a job has run, for `orch why`: the command, whose launch, which code and files."""
    ran = RanJobs(run).of(job)
    if ran is None:
        return []
    told = facts_of(run, job, ran)
    seeds = f"; {told.seeds}" if told.seeds else ""
    lines = [f"ran: {told.command}{seeds}"]
    if ran.launch is not None:
        when = stamp(ran.launch["time"])
        by = ran.launch["action"]
        lines.append(f"attempt: {ran.attempt}, by the {by} of {when}: {summary(ran.launch)}")
    elif ran.code:
        lines.append(f"attempt: {ran.attempt}, code {ran.code}")
    lines.append(f"files: {files_text(ran)}")
    return lines


def files_text(ran: Ran) -> str:
    """How many files counted for a job and where they are listed, or why that is not known."""
    if ran.unknown:
        return f"unknown: {ran.unknown}"
    if ran.line is None or not ran.files:
        return "none but its code"
    place = ran.run_folder / "bases" / ran.line.files
    return f"{len(ran.files)}, each with its hash in {place}"
