"""Whether a run is over, and how long to leave its scheduler alone between two looks.

In: records, or a run. Out: yes or no, or seconds. Called by whoever looks again and again:
follow.py and app.py here, `orch wait`, `orch advance`.
"""

from __future__ import annotations

from orchestrator.runs.record import FINAL, JobState, Record, Wait
from orchestrator.runs.run import Run

LOCAL_SECONDS = 1.0
SLURM_SECONDS = 15.0
"""Between two polls of Slurm: a login node is shared."""
SETTLE_SECONDS = 90.0
"""Longest time from the end of a job until the scheduler has said how it ended."""


def pause_of(run: Run) -> float:
    """Seconds between two polls of a run's scheduler."""
    return LOCAL_SECONDS if run.profile.kind == "local" else SLURM_SECONDS


def settling(records: list[Record]) -> bool:
    """Whether nothing runs or waits for a node any more, and yet what became of some is not
    known."""
    return not at_rest(records) and all(
        record.state not in (JobState.PENDING, JobState.RUNNING, JobState.SUSPENDED)
        for record in records
    )


def at_rest(records: list[Record]) -> bool:
    """Whether no job is active or unknown."""
    return all(record.state in FINAL or record.state is JobState.WAITING for record in records)


def over(records: list[Record]) -> bool:
    """Whether nothing will change by itself: no job is active or unknown, and none that waits can
    still be submitted. What waits for room in the queue can, by the next look that finds some: jobs
    of another run may hold it."""
    is_limited = any(record.waits_on is Wait.QUEUE_LIMIT for record in records)
    return at_rest(records) and not is_limited
