"""The rules by which it is decided where a job stands, in the order of truth.

In: the ``Sources`` of one job, without what is out of date. Out: its record as it is now, or None
where the rule does not apply; a rule that finds nothing new gives the record as it was. Pure.
``reconcile`` asks the rules one after the other, and keeps the name of the first that answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from orchestrator.runs.record import ACTIVE, FAILED, FINAL, Doubt, JobState, Record
from orchestrator.runs.sources import ExitRecord, SchedulerRecord

SCHEDULER_SECONDS = 60.0
"""How long after a signal the scheduler's word on its cause is waited for, and after a job's end
its results."""


class Sources(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of one job at one moment, without what is out of date."""

    record: Record
    """What was known before."""
    results: bool
    """Whether its results are complete."""
    exit_record: ExitRecord | None
    """Of the newest start of its newest attempt."""
    earlier_exit: ExitRecord | None
    """Of the start before a requeue, where the newest has left none."""
    queue: SchedulerRecord | None
    accounting: SchedulerRecord | None
    queue_answered: bool
    """Whether the queue could be asked."""
    accounting_answered: bool
    """Whether accounting was asked and answered."""
    now: float


def results_complete(sources: Sources) -> Record | None:
    """Complete results end the matter, whatever else is said."""
    if not sources.results:
        return None
    record = sources.record
    # The results come a moment before the exit record that goes with them. One without results is
    # from before a requeue.
    left = sources.exit_record or sources.earlier_exit
    if left is not None and not left.results:
        left = None
    if record.state is JobState.COMPLETED and (record.ended is not None or left is None):
        return record
    completed = change(record, sources.now, state=JobState.COMPLETED, source="results", reason="")
    if left is None:
        return completed
    return replace(
        completed,
        started=left.started,
        ended=left.ended,
        exit_code=left.exit_code,
        host=left.host,
        job_id=record.job_id or left.job_id,
        restarts=left.restart,
    )


def results_removed(sources: Sources) -> Record | None:
    """A completed job whose results somebody has removed: a launch submits it again."""
    if sources.record.state is not JobState.COMPLETED:
        return None
    return change(
        sources.record,
        sources.now,
        state=JobState.WAITING,
        source="orch",
        reason="its results are gone",
        token="",
        job_id=None,
    )


def never_submitted(sources: Sources) -> Record | None:
    """A job without a token is known to nobody but orch, which has said what it waits for."""
    return None if sources.record.token else sources.record


def pack_member_ended(sources: Sources) -> Record | None:
    """A member of a pack that ended by itself will not be started again, whatever becomes of its
    allocation."""
    left = sources.exit_record
    if left is None or not sources.record.packed or left.results or not left.by_itself:
        return None
    return ended_as_recorded(sources.record, left, sources.now)


def node_named_the_state(sources: Sources) -> Record | None:
    """The node cancelled it: what it needs was not there, or it was to end alone of its pack. A
    scheduler sees no more than that its program failed."""
    left = sources.exit_record
    if left is None or left.results or not left.state:
        return None
    return ended_as_recorded(sources.record, left, sources.now)


def accounting_failed(sources: Sources) -> Record | None:
    """Accounting knows what ended it: a time limit, its memory, its node, a person. From inside
    these look alike."""
    accounting = sources.accounting
    if accounting is None or accounting.state not in FAILED:
        return None
    return from_scheduler(sources.record, accounting, sources.exit_record, sources.now)


def failure_stands(sources: Sources) -> Record | None:
    """The scheduler has said what ended it. That it was not asked again takes nothing back."""
    record, left = sources.record, sources.exit_record
    if left is None or sources.accounting is not None or record.state not in FAILED:
        return None
    return record if left.signals or record.source == "sacct" else None


def requeue_requested(sources: Sources) -> Record | None:
    """It saved its state before its time limit and asked to be started again; the queue does not
    show it yet."""
    left = sources.exit_record
    if left is None or not left.requeued:
        return None
    pending = change(
        sources.record,
        sources.now,
        state=JobState.PENDING,
        source="exit record",
        started=None,
        exit_code=None,
    )
    return restarted(pending, left)


def signal_unexplained(sources: Sources) -> Record | None:
    """Somebody ended it a moment ago: cancel, time limit and preemption look alike from inside, and
    the scheduler will say which it was."""
    left = sources.exit_record
    if left is None or not left.signals or sources.now - left.ended >= SCHEDULER_SECONDS:
        return None
    if sources.accounting is not None and sources.accounting.state not in ACTIVE:
        return None
    return change(
        sources.record,
        sources.now,
        state=JobState.COMPLETING,
        source="exit record",
        reason=f"got {' '.join(left.signals)}",
        ended=left.ended,
        exit_code=left.exit_code,
    )


def results_awaited(sources: Sources) -> Record | None:
    """It ended well a moment ago, by accounting or by its exit record, and its results are not seen
    yet: a network file system may show files later here than there."""
    accounting, left = sources.accounting, sources.exit_record
    if accounting is not None and accounting.state is JobState.COMPLETED:
        ended = accounting.ended
    elif left is not None and left.results:
        ended = left.ended
    else:
        return None
    if ended is None or sources.now - ended >= SCHEDULER_SECONDS:
        return None
    return change(
        sources.record,
        sources.now,
        state=JobState.COMPLETING,
        source="exit record" if accounting is None else accounting.source,
        reason="ended; its results are not seen here yet",
    )


def exit_recorded(sources: Sources) -> Record | None:
    """It ended without results, and nobody knows more of it than its exit record."""
    left = sources.exit_record
    return None if left is None else ended_as_recorded(sources.record, left, sources.now)


def completed_without_results(sources: Sources) -> Record | None:
    """The scheduler saw it end well, but it has left nothing."""
    accounting = sources.accounting
    if accounting is None or accounting.state is not JobState.COMPLETED:
        return None
    return replace(
        from_scheduler(sources.record, accounting, None, sources.now),
        seen=sources.now,
        state=JobState.FAILED,
        reason="the scheduler says COMPLETED, but there are no results and no exit record",
    )


def accounting_active(sources: Sources) -> Record | None:
    """The queue does not show it (any more), and accounting has not noted its end yet."""
    if sources.accounting is None:
        return None
    return from_scheduler(sources.record, sources.accounting, None, sources.now)


def in_the_queue(sources: Sources) -> Record | None:
    """The queue shows it: waiting, running, or started again after a requeue."""
    if sources.queue is None:
        return None
    active = from_scheduler(sources.record, sources.queue, None, sources.now)
    left = sources.earlier_exit
    return active if left is None else restarted(active, left)


def nothing_new(sources: Sources) -> Record | None:
    """It had ended or was not submitted, and nobody says otherwise; or the queue could not be
    asked."""
    record = sources.record
    settled = record.state in FINAL or record.state is JobState.WAITING
    return record if settled or not sources.queue_answered else None


def accounting_not_asked(sources: Sources) -> Record | None:
    """It has left the queue, and what became of it is not known before accounting answers."""
    if sources.accounting_answered:
        return None
    reason = "no longer in the queue, and accounting could not be asked"
    return unknown(sources, Doubt.UNASKED, reason)


def nowhere(sources: Sources) -> Record | None:
    """Neither queue nor accounting shows it: not there yet, or forgotten."""
    return unknown(sources, Doubt.NOWHERE, "neither queue nor accounting knows it (yet)")


RULES: tuple[Callable[[Sources], Record | None], ...] = (
    # complete results and exit record
    results_complete,
    results_removed,
    never_submitted,
    pack_member_ended,
    node_named_the_state,
    # a final state of accounting, and the exit record where accounting has none
    accounting_failed,
    failure_stands,
    requeue_requested,
    signal_unexplained,
    results_awaited,
    exit_recorded,
    completed_without_results,
    accounting_active,
    # an active state of the queue
    in_the_queue,
    # unknown
    nothing_new,
    accounting_not_asked,
    nowhere,
)
"""In the order of truth; the first that answers decides."""


def unknown(sources: Sources, doubt: Doubt, reason: str) -> Record:
    """A record of which no source knows; the time since when, and the first reason, stay."""
    if sources.record.state is JobState.UNKNOWN:
        return sources.record
    return change(
        sources.record,
        sources.now,
        state=JobState.UNKNOWN,
        source="orch",
        reason=reason,
        doubt=doubt,
    )


def ended_as_recorded(record: Record, left: ExitRecord, now: float) -> Record:
    """A record that ended without results as its exit record tells."""
    return change(
        record,
        now,
        state=JobState(left.state or "FAILED"),
        source="exit record",
        reason=left.cause,
        started=left.started,
        ended=left.ended,
        exit_code=left.exit_code,
        host=left.host,
        job_id=record.job_id or left.job_id,
    )


def restarted(record: Record, left: ExitRecord) -> Record:
    """An active record with what its exit record from before the requeue says."""
    reason = record.reason
    if record.state is JobState.PENDING:
        reason = f"requeued: {left.cause}" + (f"; {reason}" if reason else "")
    return replace(record, restarts=left.restart + 1, reason=reason)


def from_scheduler(
    record: Record, said: SchedulerRecord, left: ExitRecord | None, now: float
) -> Record:
    """A record as the scheduler tells it; the node's own log line, if there is one, says more than
    the scheduler's reason."""
    if left is None:
        reason = said.reason
    elif said.state is JobState.FAILED:
        reason = left.cause  # the scheduler saw the node's program end, which says no more
    else:
        reason = "; ".join(part for part in (said.reason, left.cause) if part)
    started = said.started
    if not started and left is not None:
        started = left.started
    if not started and said.state in FINAL:
        started = record.started
    return change(
        record,
        now if said.asked is None else said.asked,
        state=said.state,
        source=said.source,
        reason=reason,
        job_id=said.job_id,
        started=started or None,
        ended=said.ended,
        host=said.host or record.host,
        expected_start=said.expected_start,
        exit_code=said.exit_code if left is None else left.exit_code,
    )


def change(record: Record, seen: float, **values: Any) -> Record:
    """A record with new values, and when its source said so. What was waited for or in doubt before
    is over, unless the new values say otherwise."""
    return replace(record, **{"waits_on": None, "doubt": None, "seen": seen, **values})
