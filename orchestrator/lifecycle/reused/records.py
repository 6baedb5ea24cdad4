"""The record of a job whose results were taken from another run.

In: a record, and of what run its results are. Out: the record as it is then. Called where results
are taken (taking.py) and by every pass over a run, so that it imports nothing of what takes.
"""

from __future__ import annotations

import time

from msgspec.structs import replace

from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run

REUSED = "reused"
"""Source of the state of a job that was taken from another run."""


def as_taken(record: Record, source: str) -> Record:
    """The record of a job whose results were just brought."""
    now = time.time()
    return replace(
        record,
        token="",
        job_id=None,
        state=JobState.COMPLETED,
        source=REUSED,
        seen=now,
        rule="",
        # Without the job, so that like jobs of a large run share a line.
        reason=f"done in {source.partition(':')[0]}",
        reused=source,
        waits_on=None,
        doubt=None,
        started=None,
        ended=now,
        exit_code=None,
        host=None,
        cause="",
        died_of="",
        due=False,
    )


def found_taken(run: Run, record: Record) -> Record:
    """A record of a job with results that nobody has run here: it was taken, and whoever took it
    was killed before that was saved."""
    if record.state is not JobState.COMPLETED or record.ended is not None or record.reused:
        return record
    # Few runs take anything, and every look at a run comes here.
    from orchestrator.runs.reuse.bring import reused

    told = reused(run.out_folder(record))
    return record if told is None else as_taken(record, f"{told['from']}:{told['job']}")
