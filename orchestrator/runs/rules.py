"""The rules by which it is decided where a job stands, in the order of truth.

In: the ``Sources`` of one job, without what is out of date. Out: its record as it is now, or None
where the rule does not apply; a rule that finds nothing new gives the record as it was. Pure.
``reconcile`` asks the rules one after the other, and keeps the name of the first that answers.

The function names are stored in state files, and are keys of DECIDED_BY in views/why.py: after a
rename the old name keeps its entry there, so that `orch why` still explains older state files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from orchestrator.runs.record import ACTIVE, FAILED, FINAL, Doubt, JobState, Record
from orchestrator.runs.sources import ACCOUNTING, EXIT_RECORD, RESULTS, ExitRecord, SchedulerRecord

GRACE_SECONDS = 60.0
"""How long we wait for late news: accounting after a signal, result files after an exit, a vanished
array element."""


class Sources(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of one job at one moment, without what is out of date."""

    record: Record
    """What was known before."""
    results: bool
    """Whether its results are complete."""
    exit_record: ExitRecord | None
    """Exit record of the present start of its newest attempt; None: it has written none."""
    earlier_exit: ExitRecord | None
    """Exit record of the start before a requeue; set only if the present start has written none
    yet."""
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
    exit_record = sources.exit_record or sources.earlier_exit
    if exit_record is not None and not exit_record.results:
        if exit_record.requeued or sources.earlier_exit is not None:
            record = replace(record, restarts=exit_record.restart + 1)
        exit_record = None
    if record.state is JobState.COMPLETED and (record.ended is not None or exit_record is None):
        return record
    completed = change(record, sources.now, state=JobState.COMPLETED, source=RESULTS, reason="")
    if exit_record is None:
        return completed
    return replace(
        completed,
        started=exit_record.began,
        ended=exit_record.ended,
        exit_code=exit_record.exit_code,
        host=exit_record.host,
        job_id=record.job_id or exit_record.job_id,
        restarts=exit_record.restart,
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
        # Without a token it counts as never submitted, so that the next launch takes it.
        token="",
        job_id=None,
        reused="",
    )


def never_submitted(sources: Sources) -> Record | None:
    """A job without a token is known to nobody but orch, which has said what it waits for."""
    return None if sources.record.token else sources.record


def pack_member_ended(sources: Sources) -> Record | None:
    """A member of a pack that ended by itself will not be started again, whatever becomes of its
    allocation."""
    exit_record = sources.exit_record
    if (
        exit_record is None
        or not sources.record.packed
        or exit_record.results
        or not exit_record.by_itself
    ):
        return None
    return ended_as_recorded(sources.record, exit_record, sources.now)


def node_named_the_state(sources: Sources) -> Record | None:
    """The node cancelled it: what it needs was not there, or it was to end alone of its pack. A
    scheduler sees no more than that its program failed."""
    exit_record = sources.exit_record
    if exit_record is None or exit_record.results or not exit_record.state:
        return None
    return ended_as_recorded(sources.record, exit_record, sources.now)


def accounting_failed(sources: Sources) -> Record | None:
    """Accounting knows what ended it: a time limit, its memory, its node, a person. From inside
    these look alike."""
    accounting = sources.accounting
    if accounting is None or accounting.state not in FAILED:
        return None
    return from_scheduler(sources.record, accounting, sources.exit_record, sources.now)


def failure_stands(sources: Sources) -> Record | None:
    """Keep a failure that accounting has explained, or that followed a signal, when accounting was
    not asked this time."""
    record, exit_record = sources.record, sources.exit_record
    if exit_record is None or sources.accounting is not None or record.state not in FAILED:
        return None
    # Otherwise the exit record itself decides further down, and says the same again.
    return record if exit_record.signals or record.source == ACCOUNTING else None


def requeue_requested(sources: Sources) -> Record | None:
    """It saved its state before its time limit and asked to be started again; the queue does not
    show it yet."""
    exit_record = sources.exit_record
    if exit_record is None or not exit_record.requeued:
        return None
    pending = change(
        sources.record,
        sources.now,
        state=JobState.PENDING,
        source=EXIT_RECORD,
        started=None,
        exit_code=None,
    )
    return restarted(pending, exit_record)


def is_recent(moment: float, now: float) -> bool:
    """Whether it is worth waiting for more news of what happened then. What lies far in the future
    was noted by a clock that was wrong, and would be waited for until it comes."""
    return abs(now - moment) < GRACE_SECONDS


def signal_unexplained(sources: Sources) -> Record | None:
    """Somebody ended it a moment ago: cancel, time limit and preemption look alike from inside, and
    the scheduler will say which it was."""
    exit_record = sources.exit_record
    if (
        exit_record is None
        or not exit_record.signals
        or not is_recent(exit_record.ended, sources.now)
    ):
        return None
    # Accounting has an end that is no failure; the rules below weigh it.
    if sources.accounting is not None and sources.accounting.state not in ACTIVE:
        return None
    return change(
        sources.record,
        sources.now,
        state=JobState.COMPLETING,
        source=EXIT_RECORD,
        reason=f"got {' '.join(exit_record.signals)}",
        ended=exit_record.ended,
        exit_code=exit_record.exit_code,
    )


def results_awaited(sources: Sources) -> Record | None:
    """It ended well a moment ago, by accounting or by its exit record, and its results are not seen
    yet: a network file system may show files later here than there."""
    accounting, exit_record = sources.accounting, sources.exit_record
    if accounting is not None and accounting.state is JobState.COMPLETED:
        ended = accounting.ended
    elif exit_record is not None and exit_record.results:
        ended = exit_record.ended
    else:
        return None
    # An NFS client may keep the listing of a folder for a minute (acdirmax).
    if ended is None or not is_recent(ended, sources.now):
        return None
    return change(
        sources.record,
        sources.now,
        state=JobState.COMPLETING,
        source=EXIT_RECORD if accounting is None else accounting.source,
        reason="ended; its results are not seen here yet",
    )


def exit_recorded(sources: Sources) -> Record | None:
    """It ended without results, and nobody knows more of it than its exit record."""
    exit_record = sources.exit_record
    return (
        None if exit_record is None else ended_as_recorded(sources.record, exit_record, sources.now)
    )


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
    exit_record = sources.earlier_exit
    return active if exit_record is None else restarted(active, exit_record)


def nothing_new(sources: Sources) -> Record | None:
    """It had ended or was not submitted, and nobody says otherwise; or the queue could not be
    asked."""
    record = sources.record
    # An answer of the queue in which the job is missing proves that it is not there; no answer
    # proves nothing.
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


Rule = Callable[[Sources], Record | None]

RULES_OF_RESULTS: tuple[Rule, ...] = (results_complete, results_removed, never_submitted)
RULES_OF_ITS_END: tuple[Rule, ...] = (
    # its exit record
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
)
"""None of them answers without an exit record or a line of accounting."""
RULES_OF_THE_QUEUE: tuple[Rule, ...] = (
    in_the_queue,
    # unknown
    nothing_new,
    accounting_not_asked,
    nowhere,
)

RULES = RULES_OF_RESULTS + RULES_OF_ITS_END + RULES_OF_THE_QUEUE
"""In the order of truth; the first that answers decides."""
RULES_WITHOUT_ITS_END = RULES_OF_RESULTS + RULES_OF_THE_QUEUE
"""The same for a job of which there is neither an exit record nor a line of accounting: of ten
thousand jobs most wait in the queue, and ten rules need not be asked for each."""


def unknown(sources: Sources, doubt: Doubt, reason: str) -> Record:
    """A record of which no source knows; the time since when, and the first reason, stay."""
    # Its `seen` stays too, from which it is counted how long it has been nowhere.
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


def ended_as_recorded(record: Record, exit_record: ExitRecord, now: float) -> Record:
    """A record that ended without results as its exit record tells."""
    return change(
        record,
        now,
        state=JobState(exit_record.state or "FAILED"),
        source=EXIT_RECORD,
        reason=exit_record.cause,
        started=exit_record.began,
        ended=exit_record.ended,
        exit_code=exit_record.exit_code,
        host=exit_record.host,
        job_id=record.job_id or exit_record.job_id,
        restarts=exit_record.restart,
    )


def restarted(record: Record, exit_record: ExitRecord) -> Record:
    """An active record with what the exit record of the start before the requeue says."""
    reason = record.reason
    if record.state is JobState.PENDING:
        reason = f"requeued: {exit_record.cause}" + (f"; {reason}" if reason else "")
    return replace(record, restarts=exit_record.restart + 1, reason=reason)


def from_scheduler(
    record: Record, said: SchedulerRecord, exit_record: ExitRecord | None, now: float
) -> Record:
    """A record as the scheduler tells it; the node's own log line, if there is one, says more than
    the scheduler's reason."""
    if exit_record is None:
        reason = said.reason
    elif said.state is JobState.FAILED:
        reason = exit_record.cause  # the scheduler saw the node's program end, which says no more
    else:
        # How a program ended that was made to end says nothing beside who has made it end.
        own = exit_record.reason if said.reason else exit_record.cause
        reason = "; ".join(part for part in (said.reason, own) if part)
    started = said.started
    if not started and exit_record is not None:
        started = exit_record.started
    # Of a job that ended, an earlier poll may have seen the start; of one that is queued again the
    # old start must not stay.
    if not started and said.state in FINAL:
        started = record.started
    return change(
        record,
        # An answer that another process got is as old as its question.
        now if said.asked is None else said.asked,
        state=said.state,
        source=said.source,
        reason=reason,
        job_id=said.job_id,
        started=started or None,
        ended=said.ended,
        host=said.host or record.host,
        expected_start=said.expected_start,
        exit_code=said.exit_code if exit_record is None else exit_record.exit_code,
    )


def change(record: Record, seen: float, **values: Any) -> Record:
    """A record with new values, and when its source said so. What was waited for or in doubt before
    is over, unless the new values say otherwise."""
    return replace(record, **{"waits_on": None, "doubt": None, "seen": seen, **values})
