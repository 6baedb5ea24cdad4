"""Where it is known from what became of every job, and how the sources are weighed.

``reconcile`` is pure: records and what each source said go in, new records come out. Truth, in this
order: complete results and the job's own exit record, a final state of the scheduler's accounting
(sacct), an active state of its queue (squeue), unknown. Absent is not failed, and "could not ask"
(None) changes nothing.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from orchestrator.runs.record import (
    ACTIVE,
    FAILED,
    FINAL,
    Doubt,
    JobState,
    Record,
)


class Seen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a scheduler says of one job."""

    job_id: str
    token: str
    state: JobState
    reason: str = ""
    started: float | None = None
    expected_start: float | None = None
    """Of a pending job, where the scheduler has an idea."""
    ended: float | None = None
    host: str | None = None
    exit_code: int | None = None
    source: str = "scheduler"
    asked: float | None = None
    """When the scheduler was asked, in Unix seconds; None: now."""


SCHEDULER_SECONDS = 60.0
"""How long after a signal the scheduler's word on its cause is waited for, and after a job's end
its results."""

SIGNALS = {number.value: number.name for number in signal.Signals}

Answer = dict[str, Seen] | None
"""What the scheduler says, by token; None: it could not be asked."""


@dataclass(frozen=True, kw_only=True)
class ExitRecord:
    """``exit.json``: what the node wrote when an attempt ended."""

    token: str
    job_id: str
    host: str
    pid: int
    exit_code: int
    """Of the engine; negative: ended by that signal."""
    started: float
    ended: float
    results: bool
    """Whether the results were there."""
    reason: str = ""
    """The log line that says why it failed."""
    signals: tuple[str, ...] = ()
    """Signals the attempt received, in order."""
    restart: int = 0
    """How often the scheduler had started this attempt before."""
    requeued: bool = False
    """Whether it saved its state before its time limit and asked to be started again."""
    resources: Mapping[str, int] | None = None
    """What the attempt had asked for; None in a run that an older version prepared."""
    oom_kills: int | None = None
    """How many of its processes the kernel killed for want of memory; None: the node could not
    tell."""
    state: str = ""
    """CANCELLED where only the node knows: what it needs is not there, or it alone of its pack was
    ended."""
    neighbours: int = 0
    """How many other jobs shared its allocation."""
    usage: Mapping[str, Any] | None = None
    """CPU seconds, peak memory and GPU use as the node measured them (``usage`` in
    orchestrator/node/system.py)."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ExitRecord:
        """From the JSON document."""
        return cls(**{**values, "signals": tuple(values["signals"])})


def reconcile(
    records: Sequence[Record],
    active: Answer,
    final: Answer,
    exits: Mapping[str, ExitRecord],
    done: frozenset[str] | set[str],
    now: float,
) -> list[Record]:
    """Weigh every source and return the records as they are now.

    ``exits`` and ``done`` (results complete) go by job name and are read from the newest attempt's
    folder; ``active`` and ``final`` go by token. An exit record of another token belongs to an
    earlier attempt and says nothing.
    """
    return [
        weigh(record, active, final, exits.get(record.name), record.name in done, now)
        for record in records
    ]


def weigh(
    record: Record, active: Answer, final: Answer, left: ExitRecord | None, done: bool, now: float
) -> Record:
    """One record against its sources; see ``reconcile``."""
    if left is not None and left.token != record.token:
        left = None
    if done:
        return completed(record, left, now)
    queued = active.get(record.allocation) if active and record.token else None
    over = final.get(record.allocation) if final and record.token else None
    if record.state is JobState.COMPLETED:
        # Its results were removed by somebody: say so, and let a launch submit it again.
        return change(
            record,
            now,
            state=JobState.WAITING,
            source="orch",
            reason="its results are gone",
            token="",
            job_id=None,
        )
    if not record.token:
        return record
    if left is not None and record.packed and by_itself(left):
        if not left.results:
            return ended_alone(record, left, now)
        queued = over = None  # the allocation goes on, or ended as others of it did
    # Requeued under the same id: an exit record of before the requeue is older than what squeue
    # says now.
    if queued is not None and (
        left is None or queued.state is JobState.PENDING or (queued.started or 0.0) > left.ended
    ):
        return restarted(from_scheduler(record, queued, None, now), left)
    if left is not None and over is not None and (over.started or 0.0) > left.ended:
        left = None  # of before a requeue; the time after it left none
    if left is not None and left.state and not left.results:
        return ended_alone(record, left, now)
    if over is not None and over.state in FAILED:
        return from_scheduler(record, over, left, now)
    if (
        over is None
        and record.state in FAILED
        and left is not None
        and (left.signals or record.source == "sacct")
    ):
        return record  # the scheduler has said what ended it; not asked again is not taken back
    if left is not None and left.requeued:
        return restarted(
            change(
                record,
                now,
                state=JobState.PENDING,
                source="exit record",
                started=None,
                exit_code=None,
            ),
            left,
        )
    if (
        left is not None
        and left.signals
        and (over is None or over.state in ACTIVE)
        and now - left.ended < SCHEDULER_SECONDS
    ):
        # Somebody ended it: cancel, time limit and preemption look alike from inside, and the
        # scheduler will say which it was.
        return change(
            record,
            now,
            state=JobState.COMPLETING,
            source="exit record",
            reason=f"got {' '.join(left.signals)}",
            ended=left.ended,
            exit_code=left.exit_code,
        )
    ended = left.ended if left is not None and left.results else None
    if over is not None and over.state is JobState.COMPLETED:
        ended = over.ended
    if ended is not None and now - ended < SCHEDULER_SECONDS:
        # It may have ended between two questions, and a network file system may show its files
        # later here than there.
        return change(
            record,
            now,
            state=JobState.COMPLETING,
            source=over.source if over is not None else "exit record",
            reason="ended; its results are not seen here yet",
        )
    if left is not None:
        return ended_alone(record, left, now)
    if over is not None:
        if over.state is JobState.COMPLETED:
            reason = "the scheduler says COMPLETED, but there are no results and no exit record"
            return change(
                from_scheduler(record, over, None, now), now, state=JobState.FAILED, reason=reason
            )
        return from_scheduler(record, over, None, now)
    if record.state in FINAL or record.state is JobState.WAITING or active is None:
        return record
    if final is None:
        return (
            record
            if record.state is JobState.UNKNOWN
            else change(
                record,
                now,
                state=JobState.UNKNOWN,
                source="orch",
                reason="no longer in the queue, and accounting could not be asked",
                doubt=Doubt.UNASKED,
            )
        )
    if record.state is JobState.UNKNOWN:
        return record
    return change(
        record,
        now,
        state=JobState.UNKNOWN,
        source="orch",
        reason="neither queue nor accounting knows it (yet)",
        doubt=Doubt.NOWHERE,
    )


def by_itself(left: ExitRecord) -> bool:
    """Whether a member of a pack will not be started again with it: it was not ended with all of
    them, or it alone was."""
    return (
        left.results
        or bool(left.state)
        or not (left.requeued or {"SIGTERM", "SIGINT"}.intersection(left.signals))
    )


def ended_alone(record: Record, left: ExitRecord, now: float) -> Record:
    """A record that ended without results as its exit record tells."""
    return change(
        record,
        now,
        state=JobState(left.state or "FAILED"),
        source="exit record",
        reason=why(left),
        started=left.started,
        ended=left.ended,
        exit_code=left.exit_code,
        host=left.host,
        job_id=record.job_id or left.job_id,
    )


def completed(record: Record, left: ExitRecord | None, now: float) -> Record:
    """A record whose results are complete."""
    if left is not None and not left.results:
        # of before a requeue; the one that goes with the results comes a moment after them
        left = None
    if record.state is JobState.COMPLETED and (record.ended is not None or left is None):
        # the results come just before the exit record: its times are filled in when it is there
        return record
    times = (
        {}
        if left is None
        else {
            "started": left.started,
            "ended": left.ended,
            "exit_code": left.exit_code,
            "host": left.host,
            "job_id": record.job_id or left.job_id,
            "restarts": left.restart,
        }
    )
    return change(record, now, state=JobState.COMPLETED, source="results", reason="", **times)


def restarted(record: Record, left: ExitRecord | None) -> Record:
    """An active record with what its exit record of before a requeue says."""
    if left is None:
        return record
    waits = f"; {record.reason}" if record.reason else ""
    reason = f"requeued: {why(left)}{waits}" if record.state is JobState.PENDING else record.reason
    return replace(record, restarts=left.restart + 1, reason=reason)


def from_scheduler(record: Record, seen: Seen, left: ExitRecord | None, now: float) -> Record:
    """A record as the scheduler tells it; the node's own log line, if there is one, says more than
    the scheduler's reason."""
    if left is None:
        reason = seen.reason
    elif seen.state is JobState.FAILED:
        reason = why(left)  # the scheduler saw the node's program end, which says no more
    else:
        reason = "; ".join(part for part in (seen.reason, why(left)) if part)
    return change(
        record,
        now if seen.asked is None else seen.asked,
        state=seen.state,
        source=seen.source,
        reason=reason,
        job_id=seen.job_id,
        started=seen.started
        or (left.started if left else None)
        or (record.started if seen.state in FINAL else None),
        ended=seen.ended,
        host=seen.host or record.host,
        expected_start=seen.expected_start,
        exit_code=seen.exit_code if left is None else left.exit_code,
    )


def why(left: ExitRecord) -> str:
    """One line: the cause an exit record names, else how the program ended."""
    if left.reason:
        return left.reason
    if left.exit_code < 0:
        return (
            "ended by signal "
            f"{-left.exit_code}{f' ({name})' if (name := SIGNALS.get(-left.exit_code)) else ''}"
        )
    return f"exit code {left.exit_code}" if left.exit_code else "exit code 0, but no results"


def change(record: Record, now: float, **values: Any) -> Record:
    """A record with new values, seen now. What was waited for or in doubt before is over, unless
    the new values say otherwise."""
    return replace(record, **{"waits_on": None, "doubt": None, "seen": now, **values})
