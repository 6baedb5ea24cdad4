"""Whether a run is over, and how long to leave its scheduler alone between two looks.

In: records, or a run. Out: yes or no, or seconds. Called by whoever looks again and again:
follow.py and app.py here, `orch wait`, `orch advance`.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.lifecycle.retry_policy import would_fail_alike
from orchestrator.runs.record import FAILED, FINAL, JobState, Record, Wait
from orchestrator.runs.run import Run

LOCAL_SECONDS = 1.0
SLURM_SECONDS = 15.0
"""Between two polls of Slurm: a login node is shared."""
SETTLE_SECONDS = 90.0
"""Longest time from the end of a job until the scheduler has said how it ended."""


def pause_of(run: Run) -> float:
    """Seconds between two polls of a run's scheduler."""
    return LOCAL_SECONDS if run.profile.kind == "local" else SLURM_SECONDS


def settling(records: Sequence[Record]) -> bool:
    """Whether nothing runs or waits for a node any more, and yet what became of some is not
    known."""
    return not at_rest(records) and all(
        record.state not in (JobState.PENDING, JobState.RUNNING, JobState.SUSPENDED)
        for record in records
    )


def at_rest(records: Sequence[Record]) -> bool:
    """Whether no job is active or unknown."""
    return all(record.state in FINAL or record.state is JobState.WAITING for record in records)


def over(run: Run, records: Sequence[Record]) -> bool:
    """Whether nothing will change by itself: no job is active or unknown, and none that waits can
    still be submitted, but those that wait in vain. What waits for room in the queue can, by the
    next look that finds some: jobs of another run may hold it."""
    vain = waiting_in_vain(run, records)
    others = [record for record in records if record.name not in vain]
    is_limited = any(record.waits_on is Wait.QUEUE_LIMIT for record in others)
    return at_rest(others) and not is_limited


def waiting_in_vain(run: Run, records: Sequence[Record]) -> set[str]:
    """Jobs that only a person sets going, though they are in the queue or wait for room in it:
    those held back because others of their stage failed of what they would fail of, those that
    were not submitted before a job that they need failed, and those behind either."""
    waiting = {r.name: r for r in records if r.state in (JobState.PENDING, JobState.WAITING)}
    unsubmitted = {name for name, one in waiting.items() if one.state is JobState.WAITING}
    # One in the queue that could not be held yet may still start.
    vain = {name for name in would_fail_alike(records) if name in unsubmitted or waiting[name].held}
    failed = {record.name for record in records if record.state in FAILED}
    # Parents come first in the plan.
    for job in run.plan.jobs:
        # Of one in the queue behind a failed job the scheduler has yet to say what becomes of it.
        before = vain | failed if job.name in unsubmitted else vain
        if job.name in waiting and not before.isdisjoint(job.waits_for):
            vain.add(job.name)
    return vain
