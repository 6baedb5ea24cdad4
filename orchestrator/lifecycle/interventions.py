"""What a person decides in place of the scheduler or a gate: to end jobs, to let them run or to
skip them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from orchestrator.clusters.base import Cluster
from orchestrator.clusters.select import cluster_of
from orchestrator.errors import SubmitError
from orchestrator.lifecycle import gates
from orchestrator.lifecycle.observe import explain, is_doubtful, settle, update
from orchestrator.lifecycle.submission import submit_waiting
from orchestrator.runs.record import ACTIVE, JobState, Record, Wait
from orchestrator.runs.run import Run, named


def cancel(run: Run, names: Iterable[str] | None = None) -> list[str]:
    """End active jobs (all, or the named ones), keep those that wait from being submitted, and
    return their names; what is done stays done.

    SubmitError if it is not known of one whether it was submitted.
    """
    wanted = named(run, names)
    cluster = cluster_of(run)
    with run.lock():
        records = update(run, run.load(), cluster, time.time())
        if any(is_doubtful(r) for r in records if wanted is None or r.name in wanted):
            records = settle(run, records, cluster)
        mine = [r for r in records if wanted is None or r.name in wanted]
        if (doubtful := next((r for r in mine if is_doubtful(r)), None)) is not None:
            raise SubmitError(
                f"cannot cancel {doubtful.name}: {doubtful.reason} ({cluster.trouble}); try again"
            )
        ended = [r for r in mine if r.state in ACTIVE and r.job_id]
        gone = dict.fromkeys(end_jobs(run, records, ended, cluster), "cancelled")
        waiting = [r for r in mine if r.state is JobState.WAITING]
        gone |= dict.fromkeys((r.name for r in waiting), "cancelled before it was submitted")
        records = [
            replace(
                r,
                state=JobState.CANCELLED,
                source="orch",
                seen=time.time(),
                ended=time.time(),
                reason=gone[r.name],
                waits_on=Wait.PERSON,
                doubt=None,
            )
            if r.name in gone
            else r
            for r in records
        ]
        run.save(explain(run, records))
    return [record.name for record in [*ended, *waiting]]


def end_jobs(
    run: Run, records: Sequence[Record], ended: Sequence[Record], cluster: Cluster
) -> set[str]:
    """End these jobs; a member of a pack of which others go on by itself. Returns those that no
    other source will tell of."""
    names = {r.name for r in ended}
    neighbours = {
        r.job_id for r in records if r.state in ACTIVE and r.packed and r.name not in names
    }
    whole = [r for r in ended if r.job_id not in neighbours]
    if whole:
        cluster.cancel([str(r.job_id) for r in whole])
    members = [r for r in ended if r.job_id in neighbours]
    unstarted = {r.name for r in members if run.end_member(r)}
    for job_id in {str(r.job_id) for r in members if r.name not in unstarted}:
        cluster.nudge(job_id)
    # Of an element that was waiting Slurm keeps no record: what became of it is known now or never.
    return unstarted | {
        r.name for r in whole if r.state is JobState.PENDING and r.parsed_token.index is not None
    }


def override(run: Run, name: str, runs: bool, reason: str) -> list[str]:
    """Decide for a job or the jobs of a stage in place of their gate, and submit what may run now.
    Returns what there is to say."""
    cluster, told = cluster_of(run), list[str]()
    with run.lock():
        looked = time.time()
        records = settle(run, update(run, run.load(), cluster, looked), cluster)
        wanted = named(run, [name]) or set()
        told += gates.override(run, records, wanted, runs, reason)
        records = submit_waiting(
            run, gates.apply(run, records), cluster, told.append, looked, gates.behind(run) | wanted
        )
    return [
        *(
            f"{r.name} {r.state}" + (f": {r.reason}" if r.reason else "")
            for r in records
            if r.name in wanted
        ),
        *told,
    ]
