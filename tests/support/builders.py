"""Jobs, plans and runs made in memory, for tests of what decides over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from msgspec.structs import replace

from jobs.spec import Job, Resources
from orchestrator.clusters.batch import Batch
from orchestrator.description.profile import Profile
from orchestrator.lifecycle.batching import make_batches, waits_for
from orchestrator.planning.plan import Plan
from orchestrator.planning.planner import make_plan
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run, waiting

PLANNED = Profile(name="local", kind="local", max_jobs=0)
"""A cluster on which nothing may be submitted: everything up to the submission is real, and no
engine starts."""


def job(
    name: str = "train/0",
    after: tuple[str, ...] = (),
    command: tuple[str, ...] | None = None,
    **resources: int,
) -> Job:
    """A job of the engine ppo, or of a command."""
    return Job(
        name=name,
        stage=name.partition("/")[0],
        axes={},
        engine=None if command else "ppo",
        command=command,
        config={},
        resources=Resources(**resources),
        after=after,
        identity=name,
        folder=f"jobs/{name.replace('/', '.')}",
    )


def plan_of(*jobs: Job) -> Plan:
    """A plan of these jobs."""
    return Plan(
        experiment="e", about="", preset=None, source=Path("e.yaml"), jobs=jobs, identity="i"
    )


def run_of(*jobs: Job) -> Run:
    """A run of these jobs on Slurm, of which nothing is on disk."""
    return Run(Path("/runs/e/full"), plan_of(*jobs), Profile(kind="slurm"), "uid", "/", 0.0)


def planned(description: dict[str, Any], folder: Path, **arguments: Any) -> Plan:
    """The plan of a description, which is written into ``folder`` first."""
    path = folder / "x.yaml"
    path.write_text(yaml.safe_dump(description, sort_keys=False))
    return make_plan(path, **arguments)


def submitted(
    run: Run, size: int = 1000, done: frozenset[str] = frozenset()
) -> tuple[list[Batch], dict[str, Record], list[str]]:
    """Batches as a launch submits them, under the ids 1, 2, ..., and each one's --dependency in
    words."""
    by_name = {item.name: waiting(item) for item in run.plan.jobs}
    for name in done:
        by_name[name] = replace(by_name[name], state=JobState.COMPLETED)
    batches = make_batches(run, list(by_name.values()), set(by_name) - done, size)
    words = []
    for number, batch in enumerate(batches, start=1):
        waits = waits_for(batch, by_name)
        words.append(" ".join([*waits.all, *(f"corr:{head}" for head in waits.same_index)]))
        for record, own in zip(batch.records, batch.ids(str(number)), strict=True):
            by_name[record.name] = replace(record, job_id=own, state=JobState.PENDING)
    return batches, by_name, words
