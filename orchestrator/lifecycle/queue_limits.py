"""Limits on how many jobs a user may have queued. Jobs that could be submitted but for them wait
here, and whoever polls the run next submits what fits.

There are two limits: ``max_jobs`` of the profile, and the cluster's own, learnt from a refusal of
sbatch and kept in ``<run>/limit.json``. Both count all jobs of the user, of whatever run, as Slurm
does: an array by its elements, a pack once. A job in the backlog is WAITING on
``Wait.QUEUE_LIMIT``.

``room`` says how many allocations fit now (orchestrator/lifecycle/observe.py asks it),
``Allocations`` counts how many the chosen jobs would make (decide.py), ``after_refusal`` learns
from a refusal (refresh.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from jobs.spec import Job
from orchestrator.clusters.base import Cluster
from orchestrator.errors import NoRoom
from orchestrator.lifecycle.batching import company
from orchestrator.lifecycle.retry_policy import asked
from orchestrator.node.system import write_json
from orchestrator.runs.documents.reading import document
from orchestrator.runs.record import ACTIVE, JobState, Record, Wait
from orchestrator.runs.run import Run

KEPT_SECONDS = 3600.0
"""After this long it is tried again whether a limit still holds."""


class Allocations:
    """How many allocations the jobs make that were added so far, parents first: what a limit on
    queued jobs counts."""

    def __init__(self, by_name: Mapping[str, Record]) -> None:
        self.by_name = by_name
        self.count = 0
        self.level: dict[str, int] = {}
        self.members: dict[object, int] = {}

    def opens(self, job: Job) -> bool:
        """Whether this job would need an allocation that none of the others has."""
        key, size = self.group(job)
        members = self.members.get(key, 0)
        # In packs of 3 the first, the fourth and the seventh member open an allocation.
        return members == 0 or (size is not None and members % size == 0)

    def add(self, job: Job) -> None:
        """Take a job in."""
        key, _ = self.group(job)
        self.count += self.opens(job)
        self.members[key] = self.members.get(key, 0) + 1
        self.level[job.name] = self.level_of(job)

    def group(self, job: Job) -> tuple[object, int | None]:
        """Equal for the jobs that share allocations with this one, and how many share one; None:
        all of them, as submitted before."""
        record = self.by_name[job.name]
        if record.token:
            return record.allocation, None
        # By level too: the members of a pack start together, so none may wait for another.
        return (company(asked(job, record), record), self.level_of(job)), job.pack

    def level_of(self, job: Job) -> int:
        """How many jobs of these it waits for, one after the other: only jobs of one level are
        submitted together."""
        parents = [self.level[name] for name in job.waits_for if name in self.level]
        return max(parents) + 1 if parents else 0


class Limit(TypedDict):
    """What ``limit.json`` holds."""

    most: int
    name: str
    time: float


def limit_file(run: Run) -> Path:
    """Where the cluster's limit is kept."""
    return run.folder / "limit.json"


def load(run: Run) -> tuple[int, str] | None:
    """The cluster's limit as far as it is known: how many jobs at most, and what Slurm calls it."""
    kept = document(limit_file(run), Limit, "left out; a launch finds it out again")
    # A time in the future is from before the clock was set back.
    if kept is None or not 0 <= time.time() - kept["time"] < KEPT_SECONDS:
        return None
    return kept["most"], kept["name"]


def forget(run: Run) -> None:
    """Try again whether the limit holds: somebody launches anew."""
    limit_file(run).unlink(missing_ok=True)


def may_matter(run: Run, records: Sequence[Record], thorough: bool) -> bool:
    """Whether it has to be known how many jobs of the user are queued, of other runs too.

    ``thorough``: failed jobs may be submitted again in this pass.
    """
    if any(record.waits_on is Wait.QUEUE_LIMIT for record in records):
        return True
    if run.profile.max_jobs is None and load(run) is None:
        return False
    return thorough or any(record.state is JobState.WAITING for record in records)


def room(run: Run, records: Sequence[Record], cluster: Cluster) -> int | None:
    """How many allocations may be submitted now, by the cluster's last answer; None: no limit is
    known. If the queue could not be asked, what our records say counts."""
    limit = load(run)
    if limit is None and run.profile.max_jobs is None:
        return None
    queued = cluster.queued
    if queued is None:
        queued = len({record.allocation for record in records if record.state in ACTIVE})
    free = []
    if run.profile.max_jobs is not None:
        # The user's own limit leaves out the jobs that only look at gates and backlogs; Slurm's,
        # below, counts them.
        free.append(run.profile.max_jobs - queued)
    if limit is not None:
        # The job that polls for the backlog needs room itself.
        free.append(limit[0] - queued - cluster.looks - int(run.profile.submit_from_nodes))
    return max(0, min(free))


def after_refusal(run: Run, cluster: Cluster, error: NoRoom) -> int:
    """How many jobs to try instead of those that were refused; 0: wait, and the limit is noted.

    Raises the refusal itself if it is not about how many jobs there are, or no job of the user ends
    and makes room.
    """
    if cluster.queued is None:
        cluster.ask_active()
    queued, most = (cluster.queued or 0) + cluster.looks, cluster.most_jobs()
    # The job that polls for the backlog takes a place itself.
    reserved = int(run.profile.submit_from_nodes)
    fits = None if most is None else max(0, most - queued - reserved)
    if fits is None or fits >= error.jobs:
        # It is not the limit that accounting tells of: another limit, or another rule.
        if not error.sure:
            raise error
        most, fits = None, error.jobs // 2
    # Nothing is queued whose end would make room: a backlog would wait for ever.
    if fits == 0 and queued == 0:
        raise error
    if most is not None or fits == 0:
        # Where not even one more fits and nobody says why, what is queued now is the limit.
        limit = queued if most is None else most
        write_json(limit_file(run), {"most": limit, "name": error.name, "time": time.time()})
    return fits


def reason(run: Run) -> str:
    """Why a job waits in the backlog: the limits that are known."""
    limits = []
    if run.profile.max_jobs is not None:
        limits.append(f"max_jobs of the profile: {run.profile.max_jobs}")
    limit = load(run)
    if limit is not None:
        limits.append(f"{limit[1]}: {limit[0]}")
    return (
        f"waits for room among your queued jobs ({', '.join(limits)}); submitted by the "
        "next command that checks the run"
    )


def backlog(records: Sequence[Record]) -> set[str]:
    """Names of the jobs that wait for room."""
    return {record.name for record in records if record.waits_on is Wait.QUEUE_LIMIT}
