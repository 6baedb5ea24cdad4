"""Jobs that could be submitted but for a limit on how many may be queued: they wait here, and
whoever looks next submits what fits.

Two limits: ``max_jobs`` of the profile, and the cluster's own, learnt from a refusal of sbatch and
kept in ``<run>/limit.json``. Both count all jobs of the user, of whatever run, as Slurm does: an
array by its elements, a pack once. A job in the backlog is WAITING on ``Wait.QUEUE_LIMIT``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from jobs.spec import Job
from orchestrator.clusters.base import Cluster
from orchestrator.errors import NoRoom
from orchestrator.lifecycle.batching import company
from orchestrator.lifecycle.retry_policy import asked
from orchestrator.node.system import write_json
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
        self.depth: dict[str, int] = {}
        self.members: dict[object, int] = {}

    def opens(self, job: Job) -> bool:
        """Whether this job would need an allocation that none of the others has."""
        key, size = self.place(job)
        members = self.members.get(key, 0)
        return members == 0 or (size is not None and members % size == 0)

    def add(self, job: Job) -> None:
        """Take a job in."""
        key, _ = self.place(job)
        self.count += self.opens(job)
        self.members[key] = self.members.get(key, 0) + 1
        self.depth[job.name] = self.below(job)

    def place(self, job: Job) -> tuple[object, int | None]:
        """Equal for the jobs that share allocations with this one, and how many share one; None:
        all of them, as submitted before."""
        record = self.by_name[job.name]
        return (
            (record.allocation, None)
            if record.token
            else ((company(asked(job, record), record), self.below(job)), job.pack)
        )

    def below(self, job: Job) -> int:
        """How many jobs of these it waits for, one after the other: only jobs of one depth are
        submitted together."""
        return max(
            (self.depth[name] + 1 for name in job.waits_for if name in self.depth), default=0
        )


def limit_file(run: Run) -> Path:
    """Where the cluster's limit is kept."""
    return run.folder / "limit.json"


def kept(run: Run) -> tuple[int, str] | None:
    """The cluster's limit as far as it is known: how many jobs at most, and what Slurm calls it."""
    path = limit_file(run)
    if not path.exists():
        return None
    values = json.loads(path.read_text())
    return (values["most"], values["name"]) if time.time() - values["time"] < KEPT_SECONDS else None


def forget(run: Run) -> None:
    """Try again whether the limit holds: somebody launches anew."""
    limit_file(run).unlink(missing_ok=True)


def room(run: Run, records: Sequence[Record], cluster: Cluster) -> int | None:
    """How many allocations may be submitted now; None: no limit is known. If the queue cannot be
    asked, what our records say counts."""
    known = kept(run)
    if known is None and run.profile.max_jobs is None:
        return None
    if cluster.queued is None:
        cluster.ask_active(shared=True)
    queued = (
        len({record.allocation for record in records if record.state in ACTIVE})
        if cluster.queued is None
        else cluster.queued
    )
    found = [] if run.profile.max_jobs is None else [run.profile.max_jobs - queued]
    if known is not None:
        # The job that looks at the backlog needs room itself.
        found.append(known[0] - queued - cluster.looks - int(run.profile.submit_from_nodes))
    return max(0, min(found))


def after_refusal(run: Run, cluster: Cluster, error: NoRoom) -> int:
    """How many jobs to try instead of those that were refused; 0: wait, and the limit is noted.

    Raises the refusal itself if it is not about how many jobs there are, or no job of the user ends
    and makes room.
    """
    if cluster.queued is None:
        cluster.ask_active()
    queued, most = (cluster.queued or 0) + cluster.looks, cluster.most_jobs()
    fits = None if most is None else max(0, most - queued - int(run.profile.submit_from_nodes))
    if fits is None or fits >= error.jobs:  # another limit, or another rule
        if not error.sure:
            raise error
        most, fits = None, error.jobs // 2
    if fits == 0 and queued == 0:
        raise error
    if most is not None or fits == 0:
        write_json(
            limit_file(run),
            {"most": queued if most is None else most, "name": error.name, "time": time.time()},
        )
    return fits


def marked(run: Run, records: Sequence[Record], names: set[str]) -> list[Record]:
    """The records with these jobs in the backlog, each with the limit it waits for."""
    known = kept(run)
    limits = (
        [] if run.profile.max_jobs is None else [f"max_jobs of the profile: {run.profile.max_jobs}"]
    )
    limits += [] if known is None else [f"{known[1]}: {known[0]}"]
    reason = (
        f"waits for room among your queued jobs ({', '.join(limits)}); submitted by whoever "
        "looks next"
    )
    return [
        replace(r, source="limit", reason=reason, waits_on=Wait.QUEUE_LIMIT)
        if r.name in names
        else r
        for r in records
    ]


def waiting(records: Sequence[Record]) -> set[str]:
    """Names of the jobs in the backlog."""
    return {
        record.name
        for record in records
        if record.waits_on is Wait.QUEUE_LIMIT and record.state is JobState.WAITING
    }
