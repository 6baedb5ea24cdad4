"""A look at a run: every source asked once and weighed, what died explained, what would die held,
what is in doubt settled."""

from __future__ import annotations

import time
from collections.abc import Sequence, Set

from msgspec.structs import replace

from orchestrator.clusters.base import Cluster
from orchestrator.lifecycle import gates
from orchestrator.lifecycle.failure_causes import Kind, cause_of
from orchestrator.lifecycle.retry_policy import doomed
from orchestrator.node.system import tail
from orchestrator.runs.reconcile import (
    SCHEDULER_SECONDS,
    Answer,
    ExitRecord,
    reconcile,
)
from orchestrator.runs.record import FAILED, GATED, Doubt, JobId, JobState, Record, Wait
from orchestrator.runs.run import Run

SETTLE_SECONDS = 5.0
"""An intent younger than this may still be on its way to the scheduler."""
BETWEEN_LOOKS_SECONDS = 2.0
"""Time between the two looks that settle that a token is not there."""


def update(
    run: Run,
    records: Sequence[Record],
    cluster: Cluster,
    now: float,
    thorough: bool = False,
    shared: bool = False,
) -> list[Record]:
    """Ask every source once and weigh the answers. Accounting is asked only if the queue has lost
    sight of a job.

    With the lock held. Ids that a killed launch had noted, or that the scheduler shows for a token,
    are taken over here. ``thorough``: see that the results of completed jobs are still there, which
    on a network file system takes seconds for thousands. ``shared``: what the scheduler told
    another process a few seconds ago will do; nothing may be submitted on the strength of it.
    """
    noted = run.journalled()
    if noted:
        records = [
            replace(r, job_id=noted[r.token]) if r.job_id is None and r.token in noted else r
            for r in records
        ]
    settled = (
        set()
        if thorough
        else {r.name for r in records if r.state is JobState.COMPLETED and r.ended is not None}
    )
    perhaps_open = [
        r for r in records if r.token and r.name not in settled and r.state not in FAILED
    ]
    # A backlog needs to know how many jobs of other runs are queued.
    active = (
        cluster.ask_active(shared)
        if perhaps_open or any(r.waits_on is Wait.QUEUE_LIMIT for r in records)
        else {}
    )
    still = set() if thorough else {r.name for r in perhaps_open if waits_as_before(r, active)}
    looked_at = [r for r in records if r.name not in settled and r.name not in still]
    exits, done = run.exits(looked_at), run.done(looked_at) | settled
    open_ones = [r for r in perhaps_open if r.name not in done]
    lost = [r for r in open_ones if active is not None and r.allocation not in active]
    final: Answer = None
    if any(
        r.name not in exits or exits[r.name].token != r.token or not exits[r.name].results
        for r in lost
    ):
        final = cluster.ask_final(min(r.submitted or run.created for r in lost), shared)
    # What ended while the scheduler was asked has its files by now.
    exits |= run.exits(lost)
    weighed = reconcile(
        [r for r in records if r.name not in settled],
        active,
        final,
        exits,
        done | run.done(lost),
        now,
    )
    fallen = {r.name for r in weighed if r.state in FAILED}
    weighed = (
        weighed
        if final is None
        else [never_started(run, record, now, fallen) for record in weighed]
    )
    left = iter(weighed)
    return gates.apply(
        run,
        [
            r if r.name in settled else with_cause(run, next(left), exits.get(r.name))
            for r in records
        ],
    )


def waits_as_before(record: Record, active: Answer) -> bool:
    """Whether a job waits in the queue as it did at the last look. It has left no files since, and
    on NFS looking for them takes long."""
    queued = active.get(record.allocation) if active else None
    return (
        record.state is JobState.PENDING
        and record.restarts == 0
        and queued is not None
        and queued.state is JobState.PENDING
    )


def with_cause(run: Run, record: Record, left: ExitRecord | None) -> Record:
    """A failed record with what it died of; its log is read once."""
    if record.state not in FAILED:
        return replace(record, cause="", died_of="") if record.cause else record
    if not record.cause:
        log = [
            line.decode(errors="replace")
            for line in tail(run.log(record))
            if not line.startswith(b"orch: ")
        ]
        mine = left if left is not None and left.token == record.token else None
        cause = cause_of(record.state, record.reason, mine, log)
        died_of = "" if cause.kind in (Kind.UNKNOWN, Kind.CANCELLED) else str(cause)
        if cause.kind is Kind.UNKNOWN and mine is not None and mine.reason and mine.exit_code > 0:
            # a last line alone does not say that it was the last
            died_of = f"exit code {mine.exit_code}: {record.reason}"
        record = replace(record, cause=str(cause.kind), died_of=died_of)
    return replace(record, reason=record.died_of) if record.died_of else record


def hold_back(records: list[Record], cluster: Cluster) -> list[Record]:
    """Hold what would die as others of its stage have, and let go what is held for nothing."""
    fates = doomed(records)
    waiting = [r for r in records if r.state is JobState.PENDING and r.job_id]
    for release, wanted in (
        (False, [r for r in waiting if r.name in fates and not r.held]),
        (True, [r for r in waiting if r.held and r.name not in fates]),
    ):
        if wanted and cluster.hold([str(r.job_id) for r in wanted], release):
            names = {r.name for r in wanted}
            records = [replace(r, held=not release) if r.name in names else r for r in records]
    return [with_fate(record, fates.get(record.name)) for record in records]


def with_fate(record: Record, fate: str | None) -> Record:
    """A record with what it would die of as the reason why it waits."""
    waits = record.state is JobState.WAITING and record.waits_on not in GATED
    if fate is not None and (record.held or waits):
        limited = record.waits_on is Wait.QUEUE_LIMIT
        return replace(record, reason=fate, waits_on=record.waits_on if limited else Wait.SIBLINGS)
    if fate is None and record.waits_on is Wait.SIBLINGS:
        return replace(record, reason="", waits_on=None)
    return record


def never_started(run: Run, record: Record, now: float, fallen: Set[str] = frozenset()) -> Record:
    """An element of an array that is cancelled while it waits leaves no trace, neither in squeue
    nor in sacct.

    One that was in the queue, has been nowhere for a minute, and was never claimed on a node has
    not run and never will. If a job that it waited for is among the ``fallen``, Slurm has cancelled
    it for that, and there is no minute to wait.
    """
    expected = not fallen.isdisjoint(run.by_name[record.name].waits_for)
    if (
        record.state is not JobState.UNKNOWN
        or record.doubt is not Doubt.NOWHERE
        or record.job_id is None
        or JobId.parse(record.job_id).index is None
        or (now - record.seen < SCHEDULER_SECONDS and not expected)
        or (run.attempt_folder(record) / "claim.json").exists()
    ):
        return record
    return replace(
        record,
        state=JobState.CANCELLED,
        seen=now,
        ended=record.seen,
        reason="left the queue before it started",
        doubt=None,
    )


def explain(run: Run, records: Sequence[Record]) -> list[Record]:
    """Say of each job that was not submitted, and of each that was cancelled for a dependency, what
    it waits for or fell with."""
    by_name = {record.name: record for record in records}
    explained = []
    for record in records:
        if record.state not in (JobState.WAITING, JobState.CANCELLED) or by_hand(record):
            explained.append(record)
            continue
        job = run.by_name[record.name]
        parents = [by_name[name] for name in job.waits_for]
        failed = [parent for parent in parents if parent.state in FAILED]
        if (
            record.state is JobState.WAITING
            and parents
            and record.waits_on not in GATED
            and (failed or record.waits_on is not Wait.QUEUE_LIMIT)
        ):
            waits = failed or [
                parent
                for parent in parents
                if parent.state not in (JobState.COMPLETED, JobState.SKIPPED)
            ]
            by_others = record.waits_on is Wait.QUEUE_LIMIT
            record = replace(
                record,
                reason="; ".join(f"{p.name} {p.state}" for p in waits[:3])
                + (f" and {len(waits) - 3} more" if len(waits) > 3 else ""),
                waits_on=record.waits_on if by_others else Wait.PARENTS if waits else None,
            )
        elif record.state is JobState.CANCELLED and failed and not record.host:
            record = replace(record, reason=f"needs {failed[0].name}, which is {failed[0].state}")
        idle = record.state is JobState.CANCELLED or (
            record.state is JobState.WAITING and record.waits_on not in GATED
        )
        if failed and failed[-1].name == job.canary and idle and not record.host:
            record = behind_canary(record, failed[-1])
        explained.append(record)
    return explained


def by_hand(record: Record) -> bool:
    """Whether a person has cancelled it while it waited."""
    return record.state is JobState.CANCELLED and record.waits_on is Wait.PERSON


def behind_canary(record: Record, canary: Record) -> Record:
    """A job that was not started because the first of its stage has died: it waits until that one
    is tried again."""
    told = f"held: the canary {canary.name} is {canary.state}" + (
        f": {canary.reason}" if canary.reason else ""
    )
    if record.state is JobState.WAITING and not record.token:
        return replace(record, reason=told, waits_on=Wait.CANARY)
    return replace(
        record,
        state=JobState.WAITING,
        source="orch",
        token="",
        job_id=None,
        reason=told,
        waits_on=Wait.CANARY,
        cause="",
        died_of="",
        held=False,
    )


def settle(run: Run, records: list[Record], cluster: Cluster) -> list[Record]:
    """Find out about intents without an id: adopted where the scheduler knows the token, open again
    where two looks say it does not.

    If the scheduler cannot be asked they stay in doubt, and nothing of theirs is submitted.
    """
    for _look in range(2):
        doubtful = [r for r in records if is_doubtful(r)]
        if not doubtful:
            return records
        young = max((r.submitted or 0.0) for r in doubtful) + SETTLE_SECONDS - time.time()
        time.sleep(max(BETWEEN_LOOKS_SECONDS, young))
        active, final = (
            cluster.ask_active(),
            cluster.ask_final(min(r.submitted or run.created for r in doubtful)),
        )
        if active is None or final is None:
            return [in_doubt(r) if is_doubtful(r) else r for r in records]
        records = with_siblings(
            reconcile(records, active, final, run.exits(records), run.done(records), time.time())
        )
    return [
        replace(r, state=JobState.WAITING, reason="its submission never arrived", doubt=None)
        if is_doubtful(r)
        else r
        for r in records
    ]


def is_doubtful(record: Record) -> bool:
    """Whether an intent is on disk and nobody has noted an id for it."""
    return (
        bool(record.token)
        and record.job_id is None
        and record.state in (JobState.UNKNOWN, JobState.PENDING)
    )


def cut_off(records: Sequence[Record]) -> set[str]:
    """Names of jobs that an orch process was submitting when it was killed; what was read from the
    folders alone may be older."""
    return {
        record.name
        for record in records
        if is_doubtful(record) and record.doubt is not Doubt.REBUILT
    }


def with_siblings(records: list[Record]) -> list[Record]:
    """An array arrives whole: an element that neither queue nor accounting shows has the id of the
    ones submitted with it."""

    def key(record: Record) -> tuple[str, float | None]:
        return record.parsed_token.head, record.submitted

    heads = {
        key(r): JobId.parse(r.job_id).head
        for r in records
        if r.job_id and r.token != r.parsed_token.head
    }
    return [
        replace(r, job_id=heads[key(r)] + r.allocation.removeprefix(r.parsed_token.head))
        if r.job_id is None and key(r) in heads
        else r
        for r in records
    ]


def in_doubt(record: Record) -> Record:
    """An intent of which nobody can say whether it was submitted."""
    return replace(
        record,
        state=JobState.UNKNOWN,
        reason="perhaps submitted; the scheduler could not be asked",
        doubt=Doubt.AMBIGUOUS,
    )
