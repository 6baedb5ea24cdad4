"""What the sources say of a job: the scheduler's queue and accounting, and the job's own exit
record.

Clusters make ``SchedulerRecord``, the run's folder gives ``ExitRecord``; ``reconcile`` weighs them,
``orch costs`` adds up the hours of exit records.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from orchestrator.node.system import ended_by_itself
from orchestrator.runs.documents.reading import Code, Count, Moment, Starts, document
from orchestrator.runs.record import JobState

RESULTS, EXIT_RECORD = "results", "exit record"
QUEUE, ACCOUNTING, SCHEDULER = "squeue", "sacct", "scheduler"
"""Sources of a state as a record and `orch status` name them: what the job has left, Slurm's queue
and accounting, and the scheduler of this machine. What orch itself decides has others."""
OUTSIDE = (RESULTS, EXIT_RECORD, QUEUE, ACCOUNTING, SCHEDULER)

SET_SECONDS = 5.0
"""A clock that is kept right by small steps is not set."""
SIGNALS = {number.value: number.name for number in signal.Signals}


class SchedulerRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
    source: str = SCHEDULER
    asked: float | None = None
    """When the scheduler was asked, in Unix seconds; None: now."""


Answer = dict[str, SchedulerRecord] | None
"""What the scheduler says, by token; None: it could not be asked."""


@dataclass(frozen=True, kw_only=True)
class ExitRecord:
    """``exit.json``: what the node wrote when a start of an attempt ended."""

    token: str
    job_id: str
    host: str
    pid: Count
    exit_code: Code
    """Of the engine; negative: ended by that signal."""
    started: Moment
    ended: Moment
    results: bool
    """Whether the results were there."""
    seconds: Moment | None = None
    """How long it took, by a clock that nobody sets; None in a record of an older version."""
    reason: str = ""
    """The log line that says why it failed."""
    signals: tuple[str, ...] = ()
    """Signals the attempt received, in order."""
    restart: Starts = 0
    """How often the scheduler had started this attempt before."""
    requeued: bool = False
    """Whether it saved its state before its time limit and asked to be started again."""
    resources: Mapping[str, Count] | None = None
    """What the attempt had asked for; None in a run that an older version prepared."""
    oom_kills: Count | None = None
    """How many of its processes the kernel killed for want of memory; None: the node could not
    tell."""
    state: Literal["", "CANCELLED", "NODE_FAIL"] = ""
    """Where only the node knows: CANCELLED if what it needs is not there, or it alone of its pack
    was ended; NODE_FAIL if it was lost with its node too often."""
    neighbours: Count = 0
    """How many other jobs shared its allocation."""
    usage: Mapping[str, Any] | None = None
    """CPU seconds, peak memory and GPU use as the node measured them (``usage`` in
    orchestrator/node/system.py)."""
    died_first: Mapping[str, Any] | None = None
    """Of a command on several nodes: the ``node`` whose process died first, by number (None: Slurm
    has lost the node itself), and its ``log``, below the attempt's folder. ``host``, ``exit_code``
    and ``reason`` are of that one then."""

    @property
    def began(self) -> float:
        """When it began, by the clock that it ended by: meanwhile that may have been set."""
        if self.seconds is None or abs(self.ended - self.started - self.seconds) < SET_SECONDS:
            return self.started
        return self.ended - self.seconds

    @property
    def by_itself(self) -> bool:
        """Whether a member of a pack ended by itself, and not because its allocation was ended."""
        return ended_by_itself(self.results, self.state, self.requeued, self.signals)

    @property
    def cause(self) -> str:
        """One line: the cause that the record names, else how the program ended."""
        if self.reason:
            return self.reason
        # As Python's subprocess says it: -9 is a program that SIGKILL ended.
        if self.exit_code < 0:
            number = -self.exit_code
            name = f" ({SIGNALS[number]})" if number in SIGNALS else ""
            return f"ended by signal {number}{name}"
        if self.exit_code > 0:
            return f"exit code {self.exit_code}"
        return "exit code 0, but no results"


def exit_of_this_start(
    exit_record: ExitRecord | None, *, restart: int | None = None, began: float | None = None
) -> ExitRecord | None:
    """The exit record if the newest start of its attempt left it; None if it is from before a
    requeue.

    A requeued job is started again in the same folder, and until that start ends the ``exit.json``
    of the one before lies there.

    Args:
        restart: the number of the newest start, which its claim holds.
        began: where only the scheduler tells of the newest start: when it began.
    """
    if exit_record is None:
        return None
    # The claim counts the starts of an attempt, so it is exact; times of two machines are not.
    if restart is not None and exit_record.restart != restart:
        return None
    if began is not None and began > exit_record.ended:
        return None
    return exit_record


class Claim(msgspec.Struct, frozen=True):
    """What is read of ``claim.json`` here."""

    restart: Starts
    token: str


def read_exit(path: Path | str) -> ExitRecord | None:
    """The exit record in a file; None if there is none that can be read."""
    return document(path, ExitRecord, "left out, and what the scheduler says counts")


def read_exit_of_this_start(path: Path) -> ExitRecord | None:
    """The exit record at ``path`` if the newest start left it, by the claim beside it."""
    # No claim: no node has started the attempt, whatever lies there.
    place = path.with_name("claim.json")
    if not place.exists():
        return None
    claim = document(place, Claim, "left out, and the newest exit record counts")
    return exit_of_this_start(read_exit(path), restart=None if claim is None else claim.restart)
