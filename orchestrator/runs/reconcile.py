"""Decide where every job stands, by all that is known of it.

In: records, what each source said, and the time. Out: new records. Pure. Called by whoever polls a
run (``orchestrator/lifecycle/observe.py``).

Each job is weighed in two steps. ``current`` leaves out what is out of date, such as an exit record
from before a requeue. Then the rules (rules.py) are asked one after the other, and the first that
answers decides; the record keeps its name, which `orch why` shows. The order of truth is:

1. complete results, and the job's own exit record;
2. a final state of the scheduler's accounting (sacct);
3. an active state of its queue (squeue);
4. unknown.

An exit record shows how a program ended. If it was killed from outside, only the scheduler knows
why, so we wait for the scheduler. Absent is not failed, and "could not ask" (None) changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from orchestrator.runs.record import JobState, Record
from orchestrator.runs.rules import RULES, RULES_WITHOUT_ITS_END, Sources, in_the_queue
from orchestrator.runs.sources import Answer, ExitRecord, exit_of_this_start


def reconcile(
    records: Sequence[Record],
    active: Answer,
    final: Answer,
    exits: Mapping[str, ExitRecord],
    done: frozenset[str] | set[str],
    now: float,
) -> list[Record]:
    """Weigh every source and return the records as they are now.

    Args:
        active: what the queue says, by token.
        final: what accounting says, by token.
        exits: exit records of the newest attempts, by job name.
        done: names of the jobs whose results are complete.
    """
    found = []
    for record in records:
        name = record.name
        # Nobody but orch knows a job that was never submitted (``never_submitted``); a run may
        # have ten thousand.
        untouched = record.state is JobState.WAITING and not record.token and name not in done
        if untouched:
            found.append(record)
            continue
        waits = None
        if name not in done and name not in exits:
            waits = waiting_as_before(record, active, now)
        if waits is None:
            waits = weigh(current(record, active, final, exits.get(name), name in done, now))
        found.append(waits)
    return found


def waiting_as_before(record: Record, active: Answer, now: float) -> Record | None:
    """The record of a job that waits in the queue as it did, without a walk through the rules: of
    those only ``in_the_queue`` answers then. None: it does not."""
    if record.state is not JobState.PENDING or not active or not record.token:
        return None
    queued = active.get(record.allocation)
    if queued is None or queued.state is not JobState.PENDING:
        return None
    if queued.started or queued.host:
        return None
    told = (queued.job_id, queued.reason, queued.source, queued.expected_start, None)
    held = (record.job_id, record.reason, record.source, record.expected_start, record.started)
    ended = (queued.ended, queued.exit_code, None, None, in_the_queue.__name__)
    rest = (record.ended, record.exit_code, record.waits_on, record.doubt, record.rule)
    if told != held or ended != rest:
        return None
    return replace(record, seen=now if queued.asked is None else queued.asked)


def current(
    record: Record,
    active: Answer,
    final: Answer,
    exit_record: ExitRecord | None,
    results: bool,
    now: float,
) -> Sources:
    """The sources of one job without what is out of date."""
    queue = active.get(record.allocation) if active and record.token else None
    accounting = final.get(record.allocation) if final and record.token else None
    if exit_record is not None and exit_record.token != record.token:
        exit_record = None  # of an earlier attempt
    if exit_record is not None and record.packed and exit_record.by_itself:
        # The scheduler speaks of the whole pack, but this member ended by itself.
        queue = accounting = None

    # The queue and an exit record of the same start contradict each other: whichever is later wins.
    this_start = exit_record
    if queue is not None:
        # A job that waits in the queue will be started at some later time.
        began = math.inf if queue.state is JobState.PENDING else queue.started
        this_start = exit_of_this_start(exit_record, began=began)
        if this_start is None:
            accounting = None  # of a start before, or asked a moment too early: the queue shows it
        else:
            queue = None  # it has ended since the queue was asked
    if queue is None and accounting is not None:
        this_start = exit_of_this_start(exit_record, began=accounting.started)

    return Sources(
        record=record,
        results=results,
        exit_record=this_start,
        earlier_exit=exit_record if this_start is None else None,
        queue=queue,
        accounting=accounting,
        queue_answered=active is not None,
        accounting_answered=final is not None,
        now=now,
    )


def weigh(sources: Sources) -> Record:
    """The record of one job as it is now, with the name of the rule that decided. A record that
    stays as it was keeps the name of the rule that had decided it."""
    rule, decided = decide(sources)
    if decided is sources.record or decided.rule == rule:
        return decided
    return replace(decided, rule=rule)


def decide(sources: Sources) -> tuple[str, Record]:
    """The name of the first rule that answers, and its answer."""
    ended = sources.exit_record is not None or sources.accounting is not None
    for rule in RULES if ended else RULES_WITHOUT_ITS_END:
        decided = rule(sources)
        if decided is not None:
            return rule.__name__, decided
    raise AssertionError("the last rule answers always")
