"""Every start of a run's jobs: when it ran, how it ended, what it held and used.

In: a run, its records, and the claims and exit records in the attempt folders. Out: a list of
``Start``. A start is one time that a scheduler started an attempt: a requeued attempt has several.
Called by ``spent`` in tables.py; hours.py and usage.py work on what it returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.spec import Resources
from orchestrator.node.cost import attempt_records, seconds_of
from orchestrator.node.system import CONTINUES
from orchestrator.runs.documents.damage import note
from orchestrator.runs.layout import RESULTS, attempt_folder
from orchestrator.runs.record import ACTIVE, JobState, Record
from orchestrator.runs.run import Run

ON_NODE = (JobState.RUNNING, JobState.SUSPENDED, JobState.COMPLETING)


@dataclass(frozen=True, kw_only=True)
class Start:
    """One start of one attempt."""

    job: str
    attempt: int
    restart: int
    started: float
    ended: float | None
    """Unix seconds; now for a start that is running. None: it left no exit record, and nobody knows
    when it ended."""
    outcome: str
    """``running``, ``results``, ``requeued`` (it had saved its state), ``stopped`` (it had saved
    its state too, but a person or a preemption ended it), ``died``."""
    resources: Resources
    job_id: str = ""
    neighbours: int = 0
    """How many other jobs shared its allocation, and its GPUs."""
    lasted: float | None = None
    """Seconds, as the node has measured them; None: only start and end are known."""
    usage: Mapping[str, Any] = field(default_factory=dict)
    """As the node or the scheduler measured it; empty: nobody did."""

    @property
    def seconds(self) -> float:
        """How long it ran, as far as is known."""
        if self.lasted is not None:
            return self.lasted
        if self.ended is None:
            return 0.0
        # Start and end may come from clocks of two machines, and the end may then seem the earlier
        # one.
        return max(0.0, self.ended - self.started)


def read_starts(run: Run, records: Sequence[Record], now: float) -> list[Start]:
    """Every start that left a trace in the jobs' folders: job by job, the earliest first."""
    starts: list[Start] = []
    for record in records:
        for attempt in range(1, record.attempt + 1):
            starts += attempt_starts(run, record, attempt, now)
    return starts


def attempt_starts(run: Run, record: Record, attempt: int, now: float) -> list[Start]:
    """The starts of one attempt. All but the newest have an exit record, or left nothing."""
    folder = attempt_folder(run.folder, record.folder, attempt)
    exit_records, claim = attempt_records(folder, left_out)
    requested = run.by_name[record.name].resources
    starts = {
        restart: ended_start(record, attempt, exit_record, requested)
        for restart, exit_record in exit_records.items()
    }
    # A claim without the exit record of the same start: it still runs, or its node was lost.
    if claim is not None and claim["restart"] not in starts:
        starts[claim["restart"]] = open_start(run, record, attempt, claim, now)
    return [starts[restart] for restart in sorted(starts)]


def left_out(path: str) -> None:
    """Have it told that a record cannot be read."""
    note(path, "is damaged", "left out, so that costs may be higher than shown")


def ended_start(
    record: Record, attempt: int, exit_record: Mapping[str, Any], requested: Resources
) -> Start:
    """A start that left an exit record. Records of older versions do not say what it had asked
    for: then it is what the plan requests."""
    held = exit_record.get("resources")
    return Start(
        job=record.name,
        attempt=attempt,
        restart=exit_record.get("restart", 0),
        started=exit_record["started"],
        ended=exit_record["ended"],
        lasted=seconds_of(exit_record),
        outcome=outcome(exit_record),
        resources=Resources(**held) if held else requested,
        job_id=exit_record["job_id"],
        usage=exit_record.get("usage") or {},
        neighbours=exit_record.get("neighbours", 0),
    )


def open_start(
    run: Run, record: Record, attempt: int, claim: Mapping[str, Any], now: float
) -> Start:
    """A start that has left no exit record: it runs, or its node was lost."""
    # The record describes the newest attempt alone. An older one without an exit record must have
    # died, and nobody knows when.
    how, ended = "died", None
    if attempt == record.attempt:
        how, ended = end_by_state(run, record, now)
    return Start(
        job=record.name,
        attempt=attempt,
        restart=claim["restart"],
        started=claim["started"],
        ended=ended,
        outcome=how,
        resources=run.by_name[record.name].resources,
        job_id=claim["job_id"],
        neighbours=claim.get("neighbours", 0),
    )


def end_by_state(run: Run, record: Record, now: float) -> tuple[str, float | None]:
    """Outcome and end of a job's newest start, by the job's state alone."""
    if record.state in ON_NODE:
        return "running", now
    # Active, but on no node: it is in the queue again, as after a node failure. When the start
    # before that ended is not known.
    ended = None if record.state in ACTIVE else record.ended
    if record.state is not JobState.COMPLETED:
        return "died", ended
    # The node was lost between the results and the exit record.
    if ended is None:
        ended = written(run.out_folder(record) / RESULTS)
    return "results", ended


def written(results: Path) -> float | None:
    """When results were written, which is the last that an engine does, in Unix seconds; None if
    they are not there."""
    return results.stat().st_mtime if results.exists() else None


def outcome(exit_record: Mapping[str, Any]) -> str:
    """How a start ended, by its exit record."""
    # Results come first: a start that was asked to stop may have finished all the same. A start
    # that is requeued exits with CONTINUES too, so that is asked before the exit code.
    if exit_record["results"]:
        return "results"
    if exit_record.get("requeued"):
        return "requeued"
    return "stopped" if exit_record["exit_code"] == CONTINUES else "died"
