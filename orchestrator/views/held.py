"""Who holds a queued job, and how it is let go.

In: a record with Slurm's reason. Out: a sentence for people. Pure. Called by status.py, because
Slurm gives a job that is held a start time like any other, and why.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.runs.record import JobState, Record

HELD = re.compile(
    r"(?i)JobHeld(?:User|Admin)|JobHoldMaxRequeue|requeued[ _](?:in[ _])?held|special[ _]exit"
    r"|ReservationDeleted|resv[ _]del"
)
"""Slurm's reasons for a job that is held; a log line that the reason quotes may hold such words by
chance, but not these."""


@dataclass(frozen=True)
class Holder:
    """Who holds a job."""

    pattern: str
    """What Slurm's reason holds then; squeue writes some with spaces and some with underscores."""
    said: str
    """The rest of "held by ..", with ``{id}`` for the job's id."""


HOLDERS = (
    Holder(r"job ?held ?user", "its owner; scontrol release {id} lets it go"),
    Holder(
        r"job ?held ?admin",
        "an administrator, who alone can let it go (scontrol release {id})",
    ),
    Holder(
        r"launch|max ?requeue",
        "Slurm, because it could not be started on a node (a prolog that fails, most often);"
        " scontrol release {id} tries again",
    ),
    Holder(
        r"special exit|requeue",
        "whoever requeued it so, a person or the site's RequeueExitHold; scontrol release {id}"
        " lets it go",
    ),
    Holder(
        r"reservation|resv",
        "Slurm, because its reservation is gone; scontrol update jobid={id} reservation= and"
        " scontrol release {id} let it go",
    ),
)
"""The first that fits."""


def is_held(record: Record) -> bool:
    """Whether a queued job is kept from starting, by orch or by somebody else: no estimate of its
    start says anything then."""
    return record.state is JobState.PENDING and (
        record.held or HELD.search(record.reason) is not None
    )


def reason_of(record: Record) -> str:
    """The reason of a record; of a job that is held, not by orch, with who holds it and how it is
    let go."""
    # What orch holds says by itself whom it waits for.
    if record.held or not is_held(record):
        return record.reason
    words = re.sub(r"[_\s]+", " ", record.reason)
    for holder in HOLDERS:
        if re.search(holder.pattern, words, re.IGNORECASE):
            return f"held by {holder.said.format(id=record.job_id)} ({record.reason})"
    return f"{record.reason}; scontrol release {record.job_id} lets it go"
