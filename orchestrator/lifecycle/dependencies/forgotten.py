"""Parents that the scheduler has forgotten between the look at the run and the submission of a
child.

A controller of Slurm forgets a job some minutes after its end (MinJobAge), and from 24.11 on it
refuses a dependency on one that it has forgotten. A launch of many unlike jobs takes that long
where calls are limited. In: the batch that was refused, and the records as they are known. Out: its
parents as they are now, and whether the batch may still follow them. Called by the submission
(orchestrator/lifecycle/act.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from orchestrator.clusters.base import Cluster
from orchestrator.clusters.batch import Batch
from orchestrator.lifecycle.batching import active_parents
from orchestrator.lifecycle.observe import as_observed, observe
from orchestrator.runs.record import ACTIVE, FAILED, FINAL, Record
from orchestrator.runs.run import Run


def asked_again(
    run: Run, cluster: Cluster, by_name: Mapping[str, Record], batch: Batch
) -> list[Record]:
    """The parents of a batch as they are now, and all other active jobs that have ended since."""
    needed = {name for job in batch.jobs for name in active_parents(job, by_name)}
    # Others too: the next batches would be refused for them, one call after the other.
    active = [record for record in by_name.values() if record.state in ACTIVE and record.job_id]
    seen = observe(run, active, cluster, accounting=True)
    now_known = as_observed(run, active, seen)
    # What was submitted a moment ago may be nowhere yet; only an end is news.
    return [r for r in now_known if r.name in needed or r.state in FINAL]


def can_follow(batch: Batch, by_name: Mapping[str, Record]) -> bool:
    """Whether all that a batch waits for is active under an id."""
    parents = {name for job in batch.jobs for name in active_parents(job, by_name)}
    return all(by_name[name].state in ACTIVE and by_name[name].job_id for name in parents)


def put_back(
    batch: Batch, before: Mapping[str, Record], by_name: Mapping[str, Record]
) -> Sequence[Record]:
    """The records of a batch as they were before it was to be submitted. Whoever looks next submits
    what then may run; what needs a job that has failed waits for a person, as ever."""
    found = []
    for job in batch.jobs:
        parents = [by_name[name] for name in active_parents(job, by_name)]
        failed = any(parent.state in FAILED for parent in parents)
        found.append(replace(before[job.name], due=not failed))
    return found
