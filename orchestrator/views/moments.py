"""Times for people: how long, how long ago, and what a clock that was wrong has noted.

In: seconds, moments, a record. Out: words. Pure. Called by the views.
"""

from __future__ import annotations

import re
import time

from orchestrator.runs.record import JobState, Record
from orchestrator.views.held import reason_of

FULL_STOP = re.compile(r"(?<!\.)\.; ")
SKEW_SECONDS = 60.0
"""By so much the clocks of two machines may differ."""


def clock(seconds: float | None) -> str:
    """Seconds for people: 42 s, 3:07, 12:03:44."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def elapsed(record: Record, now: float) -> float | None:
    """How long a job has run, in seconds; None if it has not, or nobody knows until when."""
    ended = record.ended
    if ended is None and record.state is JobState.RUNNING:
        ended = now
    if not record.started or not ended:
        return None
    seconds = ended - record.started
    # Clocks of two machines differ a little; beyond that one was wrong, and nobody knows.
    return None if seconds < -SKEW_SECONDS else max(0.0, seconds)


def future_of(record: Record, now: float) -> str:
    """That the times of a record lie in the future, if so; else nothing."""
    times = (record.submitted, record.started, record.ended, record.seen)
    ahead = max((time - now for time in times if time), default=0.0)
    if ahead <= SKEW_SECONDS:
        return ""
    return f"its times lie {clock(ahead)} in the future: a clock was wrong"


def said_of(record: Record, now: float, progress: str = "") -> str:
    """How far a job is, or the reason of its state; and that its times lie in the future, if
    so."""
    parts = (progress or reason_of(record), future_of(record, now))
    return joined("; ".join(part for part in parts if part))


def joined(text: str) -> str:
    """A reason that goes on after a log's sentence, without the full stop of that sentence."""
    return FULL_STOP.sub("; ", text)


def ago(moment: float, now: float) -> str:
    """``3:07 ago``; of what a clock that was wrong has noted, ``3:07 in the future``."""
    ahead = moment - now
    if ahead > SKEW_SECONDS:
        return f"{clock(ahead)} in the future"
    return f"{clock(max(0.0, -ahead))} ago"


def stamp(seconds: float) -> str:
    """A time stamp for people."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
