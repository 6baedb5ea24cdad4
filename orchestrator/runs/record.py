"""What is known of one job, and how its tokens read.

msgspec reads and writes ten thousand of them in a tenth of the time that json and dataclasses take,
at every look (docs/performance.md).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, ClassVar

import msgspec
from msgspec.structs import asdict, replace


class JobState(StrEnum):
    """Slurm's own words, plus three of ours: WAITING, SKIPPED and UNKNOWN."""

    WAITING = "WAITING"
    """Not submitted yet; the reason says what it waits for."""
    PENDING = "PENDING"
    """Submitted; the scheduler has not started it."""
    RUNNING = "RUNNING"
    """On a node."""
    COMPLETING = "COMPLETING"
    """Ended or cancelled; the scheduler is still cleaning up."""
    SUSPENDED = "SUSPENDED"
    """Stopped for a while by the scheduler or an administrator; goes on later."""
    COMPLETED = "COMPLETED"
    """Its results are there."""
    FAILED = "FAILED"
    """Ended without results, by its own fault."""
    CANCELLED = "CANCELLED"
    """Ended by a person, or because a job it needed did not complete."""
    TIMEOUT = "TIMEOUT"
    """Reached its time limit."""
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    """Used more memory than it had asked for."""
    NODE_FAIL = "NODE_FAIL"
    """Its node went down."""
    PREEMPTED = "PREEMPTED"
    """Made room for a job of higher priority."""
    SKIPPED = "SKIPPED"
    """A gate said no."""
    UNKNOWN = "UNKNOWN"
    """Submitted, but no source knows of it or could be asked."""


ACTIVE = frozenset({JobState.PENDING, JobState.RUNNING, JobState.COMPLETING, JobState.SUSPENDED})


FAILED = frozenset(
    {
        JobState.FAILED,
        JobState.CANCELLED,
        JobState.TIMEOUT,
        JobState.OUT_OF_MEMORY,
        JobState.NODE_FAIL,
        JobState.PREEMPTED,
    }
)


FINAL = FAILED | {JobState.COMPLETED, JobState.SKIPPED}


class Record(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """What the state file says of one job; ``dataclasses.replace`` changes it."""

    name: str
    stage: str
    identity: str
    folder: str
    """Relative to the run folder."""
    attempt: int = 0
    """How often it was submitted; attempt n lies in ``<folder>/attempt-<n>``."""
    token: str = ""
    """Last part of the scheduler's job name; empty while it was never submitted."""
    job_id: str | None = None
    """The scheduler's id; None while it is not known."""
    state: JobState = msgspec.field(
        default_factory=lambda: JobState.WAITING
    )  # a factory's default is written all the same
    source: str = "orch"
    """Where the state comes from: results, exit record, sacct, squeue, scheduler, gate, limit or
    orch."""
    seen: float = 0.0
    """When the source said so, in Unix seconds."""
    rule: str = ""
    """Which rule of ``reconcile`` decided the state; empty in what older versions wrote."""
    reason: str = ""
    """Why it waits or died."""
    submitted: float | None = None
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    host: str | None = None
    restarts: int = 0
    """How often the scheduler has started this attempt again: after a time limit, a preemption or a
    failed node."""
    cause: str = ""
    """Kind of death of the newest attempt (orchestrator/lifecycle/failure_causes.py); empty while
    it has not died."""
    died_of: str = ""
    """The kind with the line it was read from and what to do; shown as the reason."""
    memory_gb: int | None = None
    """What retries have raised the request to; None: as planned."""
    minutes: int | None = None
    """The same for the time limit."""
    exclude: str = ""
    """Nodes that earlier attempts died of, with commas between."""
    expected_start: float | None = None
    """When the scheduler thought last that it would start; it may have been wrong."""
    held: bool = False
    """Whether it waits in the queue, held back because others of its stage died of what it would
    die of."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]] = {}
    """What ``dataclasses.replace`` looks at."""

    def to_dict(self) -> dict[str, Any]:
        """Values by key, all of them."""
        return asdict(self)


MADE = dataclasses.make_dataclass(
    "MADE", Record.__struct_fields__, init=False, repr=False, eq=False
)


Record.__dataclass_fields__.update({item.name: item for item in dataclasses.fields(MADE)})


def split_token(token: str) -> tuple[str, int | None]:
    """The scheduler's part of a token, or of a job id, and the index in its array (None: not in
    one)."""
    whole = allocation(token)
    head, _, index = whole.rpartition("_")
    return (head, int(index)) if index.isdigit() and head else (whole, None)


def allocation(token: str) -> str:
    """The token of the job that the scheduler knows: members of a pack share one, as
    ``<token>+<member>``."""
    if "+" not in token:
        return token
    head, plus, place = token.rpartition("+")
    return head if plus and place.isdigit() else token


AGED_SECONDS = 60.0


def unchanged(before: Sequence[Record], after: Sequence[Record]) -> bool:
    """Whether a look found nothing new but that what was known is still so; after a minute that is
    new enough to be written down."""
    return len(before) == len(after) and all(
        old is new or (new.seen - old.seen < AGED_SECONDS and replace(old, seen=new.seen) == new)
        for old, new in zip(before, after, strict=True)
    )


SOURCE = "gate"
"""The source of a record that a gate holds or has skipped."""
