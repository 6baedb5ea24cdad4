"""Submit what is neither done nor active, exactly once.

The order of things is what makes it exact: the attempt's folder and the intent (job, attempt,
token) are on disk before the scheduler is asked, the token is part of the job's name, the id is
noted right after. Whoever comes after a crash, or after an answer that may or may not mean
"submitted", looks the token up before submitting again. Like jobs go as one array
(orchestrator/lifecycle/batching.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence, Set

from msgspec.structs import replace

from orchestrator.clusters.base import Cluster
from orchestrator.clusters.batch import Batch
from orchestrator.errors import AmbiguousSubmit, NoRoom, SubmitError
from orchestrator.lifecycle import gates, notifications, queue_limits
from orchestrator.lifecycle.batching import make_batches, waits_for
from orchestrator.lifecycle.observe import explain, in_doubt, settle
from orchestrator.lifecycle.retry_policy import doomed
from orchestrator.runs.attempts import prepare
from orchestrator.runs.record import ACTIVE, GATED, JobId, JobState, Record
from orchestrator.runs.run import Run

SAW_IT = frozenset({"squeue", "scheduler", "orch"})
"""Sources that say of an active job with an id that the scheduler knows it; orch is one right after
it has submitted it."""


def watch_over(run: Run, records: Sequence[Record], cluster: Cluster) -> None:
    """See that somebody looks when the jobs have ended that gates judge, or one that makes room for
    the backlog."""
    for awaited in gates.awaited(run, records):
        cluster.look_after(awaited)
    if queue_limits.waiting(records):
        cluster.look_again(
            [record for record in records if record.state in ACTIVE and record.job_id]
        )


def submit_waiting(
    run: Run,
    records: list[Record],
    cluster: Cluster,
    tell: Callable[[str], None],
    looked: float,
    among: set[str] | None = None,
    named: Set[str] = frozenset(),
) -> list[Record]:
    """Submit what may be submitted and has room; what has none goes into the backlog. With the lock
    held.

    Args:
        looked: when the scheduler was asked; ``among``: only these jobs, where not all may be
            submitted.
        named: jobs to submit even if others of their stage died of what they may die of.
    """
    held = set(doomed(records)) - named
    room = queue_limits.room(run, records, cluster)
    while True:
        chosen = choose(run, records, looked, among, held, room)
        records, refusal = submit_chosen(run, records, chosen, cluster, tell)
        if refusal is None:
            break
        room = queue_limits.after_refusal(run, cluster, refusal)
    records = queue_limits.marked(run, records, choose(run, records, looked, among, held))
    records = explain(run, records)
    run.save(records)
    watch_over(run, records, cluster)
    for awaited in notifications.awaited(run, records) if chosen else []:
        cluster.look_after(awaited)
    return records


def submit_chosen(
    run: Run,
    records: Sequence[Record],
    chosen: set[str],
    cluster: Cluster,
    tell: Callable[[str], None],
) -> tuple[list[Record], NoRoom | None]:
    """Write all intents in one save, then submit batch by batch. Where there is no room the rest
    stays as it was; returns that refusal."""
    now = time.time()
    batches = make_batches(run, records, chosen, cluster.array_size()) if chosen else []
    before = {record.name: record for record in records}
    by_name = dict(before)
    for batch in batches:
        prepare(run, batch.jobs, batch.records)
        by_name.update((record.name, intent(record, now)) for record in batch.records)
    if batches:
        run.save(explain(run, list(by_name.values())))
    done = 0
    try:
        for batch in batches:
            submitted = submit_batch(run, cluster, by_name, batch)
            by_name.update((record.name, record) for record in submitted)
            run.journal(submitted)
            done += 1
            tell(told(batch, submitted))
    except NoRoom as refusal:
        by_name.update((r.name, before[r.name]) for batch in batches[done:] for r in batch.records)
        run.save(explain(run, list(by_name.values())))
        return list(by_name.values()), refusal
    except SubmitError as error:
        # Not asked for yet, or refused: open again. Those whose answer was unclear keep their
        # tokens and are looked up.
        for place, batch in enumerate(batches[done:]):
            unclear = isinstance(error, AmbiguousSubmit) and place == 0
            by_name.update(
                (r.name, (in_doubt if unclear else withdrawn)(by_name[r.name]))
                for r in batch.records
            )
        run.save(explain(run, list(by_name.values())))
        raise
    return list(by_name.values()), None


def told(batch: Batch, submitted: Sequence[Record]) -> str:
    """One line on what was submitted, and as what."""
    job_id = JobId.parse(str(submitted[0].job_id)).head
    return f"submitted {batch.title} as {job_id}" + (
        f", an array of {len(batch.indexes)}" if batch.indexes else ""
    )


def submit_batch(
    run: Run, cluster: Cluster, by_name: dict[str, Record], batch: Batch
) -> list[Record]:
    """Submit one batch after its active parents; an unclear answer is looked up at once."""
    waits = waits_for(batch, by_name)
    records = [by_name[record.name] for record in batch.records]
    try:
        job_id = cluster.submit(batch, waits)
    except AmbiguousSubmit:
        records = settle(run, [in_doubt(record) for record in records], cluster)
        if any(record.state is JobState.UNKNOWN and record.job_id is None for record in records):
            raise
        if any(record.job_id is not None for record in records):
            return records
        try:
            job_id = cluster.submit(batch, waits)
        except NoRoom as error:
            raise SubmitError(
                *error.lines
            ) from error  # the token is kept: the first try might still arrive
    return [
        replace(
            record,
            job_id=own,
            state=JobState.PENDING,
            source="orch",
            seen=time.time(),
            reason="",
            doubt=None,
        )
        for record, own in zip(records, batch.ids(job_id), strict=True)
    ]


def choose(
    run: Run,
    records: Sequence[Record],
    looked: float,
    among: set[str] | None = None,
    held: Set[str] = frozenset(),
    room: int | None = None,
) -> set[str]:
    """Names of jobs to submit now, not more than fit into ``room`` allocations.

    They are not done, not active, not held, and each parent is done, skipped or active since
    ``looked``. An older word on a parent is not enough: Slurm takes afterok on a failed job that it
    has forgotten, and runs the child.
    """
    chosen: set[str] = set()
    by_name = {record.name: record for record in records}
    known = {
        r.name
        for r in records
        if r.state in (JobState.COMPLETED, JobState.SKIPPED)
        or (r.state in ACTIVE and r.job_id is not None and r.source in SAW_IT and r.seen >= looked)
    }
    taken = queue_limits.Allocations(by_name)
    for job in run.plan.jobs:
        ready = all(parent in chosen or parent in known for parent in job.waits_for)
        free = (
            by_name[job.name].state is JobState.WAITING
            and by_name[job.name].waits_on not in GATED
            and job.name not in held
        )
        if not (free and ready and (among is None or job.name in among)):
            continue
        if room is not None:
            if taken.count >= room and taken.opens(job):
                break
            taken.add(job)
        chosen.add(job.name)
    return chosen


def intent(record: Record, now: float) -> Record:
    """A record that says what is about to be submitted."""
    return replace(
        record,
        job_id=None,
        state=JobState.PENDING,
        source="orch",
        seen=now,
        submitted=now,
        started=None,
        ended=None,
        exit_code=None,
        host=None,
        reason="being submitted",
        waits_on=None,
        doubt=None,
        cause="",
        died_of="",
        held=False,
    )


def withdrawn(record: Record) -> Record:
    """An intent that was not submitted after all; the attempt stays, and is used next time."""
    return replace(
        record, state=JobState.WAITING, reason="not submitted", waits_on=None, submitted=None
    )
