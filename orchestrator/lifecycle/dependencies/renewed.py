"""New parents of queued jobs: what waits in the queue for a job that was submitted again.

A child that was submitted before the retry waits for an id that has failed: for an array of which
other elements still run, or for the end of packs. Slurm would cancel it once the last of them ends,
or start it without what it needs. In: the run's records after a submission, and the names of the
jobs that it submitted. Out: the records, and the names of children that have to be submitted again
as well. Called by every pass (orchestrator/lifecycle/refresh.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from msgspec.structs import replace

from jobs.spec import Job
from orchestrator.clusters.base import Cluster
from orchestrator.clusters.batch import Batch, Waits
from orchestrator.lifecycle.batching import waits_for
from orchestrator.lifecycle.retry_policy import again
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run


def renew(
    run: Run, cluster: Cluster, records: Sequence[Record], submitted: Set[str]
) -> tuple[list[Record], set[str]]:
    """Let the children in the queue wait for the new ids of their parents. Where the scheduler
    changes no queued job they are taken out of the queue and made ready to be submitted again;
    returns their names too.

    Args:
        submitted: names of the jobs that this pass was to submit.
    """
    by_name = {record.name: record for record in records}
    # Not what was put back after all.
    new = {name for name in submitted if by_name[name].job_id is not None}
    units = waiting_units(run, by_name, new)
    if not units:
        return list(records), set()
    by_waits: dict[Waits, list[list[Job]]] = {}
    for jobs in units:
        batch = Batch(tuple(jobs), tuple(by_name[job.name] for job in jobs))
        by_waits.setdefault(waits_for(batch, by_name), []).append(jobs)
    refused: list[list[Job]] = []
    for waits, alike in by_waits.items():
        changed = cluster.wait_for([by_name[jobs[0].name] for jobs in alike], waits)
        refused += [jobs for jobs in alike if jobs[0].name not in changed]
    lost = taken_out(cluster, by_name, refused)
    ready = {
        job.name: replace(again(job, by_name[job.name], run.profile), due=True) for job in lost
    }
    return [ready.get(record.name, record) for record in records], set(ready)


def waiting_units(run: Run, by_name: Mapping[str, Record], submitted: Set[str]) -> list[list[Job]]:
    """The allocations in the queue that wait for one of these jobs and were submitted before it,
    each as all of its jobs."""
    affected = set[str]()
    for job in run.plan.jobs:
        record = by_name[job.name]
        queued = record.state is JobState.PENDING and record.job_id is not None
        if queued and job.name not in submitted and not submitted.isdisjoint(job.waits_for):
            affected.add(record.allocation)
    units: dict[str, list[Job]] = {}
    if affected:
        for job in run.plan.jobs:
            if by_name[job.name].allocation in affected:
                units.setdefault(by_name[job.name].allocation, []).append(job)
    return list(units.values())


def taken_out(
    cluster: Cluster, by_name: Mapping[str, Record], units: Sequence[list[Job]]
) -> list[Job]:
    """The jobs of those units that are in the queue no more, or were taken out of it here. One that
    has started in the meantime, or of which nothing can be known, is left as it is."""
    if not units:
        return []
    active = cluster.ask_active()
    if active is None:
        return []
    ready, pending = [], []
    for jobs in units:
        record = by_name[jobs[0].name]
        queued = active.get(record.allocation)
        if queued is None:
            ready += jobs
        elif queued.state is JobState.PENDING:
            pending.append(jobs)
    still_there = cluster.cancel([by_name[jobs[0].name] for jobs in pending]) if pending else {}
    for jobs in pending:
        if jobs[0].name not in still_there:
            ready += jobs
    return ready
