"""What is known of one job: its record, the states it can have, and how its token reads.

The state file holds a record per job, the lifecycle turns old records into new ones, the views show
them. Records are msgspec structs, changed by ``msgspec.structs.replace``: ten thousand of them are
read and written in a tenth of the time that json and dataclasses take (docs/performance.md).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from orchestrator.node.light.standard import whole
from orchestrator.runs.documents.reading import Code, Count, Moment, Starts


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
"""States in which the scheduler still has the job."""


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
"""Final states without results, cancellation included; ``JobState.FAILED`` is only one of them."""


FINAL = FAILED | {JobState.COMPLETED, JobState.SKIPPED}
"""``FAILED``, and the two states of a job that has ended well or need not run."""


class Wait(StrEnum):
    """What a job that is not submitted, or that is held in the queue, waits for."""

    PARENTS = "parents"
    """Jobs that come before it."""
    GATE = "gate"
    """A gate that is open, because values are missing which are still to come."""
    NOTHING_MORE = "nothing_more"
    """A gate that is open although no more values will come: a person retries or overrides."""
    QUEUE_LIMIT = "queue_limit"
    """Room among the user's queued jobs; whoever polls the run next submits what fits."""
    BUDGET = "budget"
    """GPU-hours: what is left of the run's budget is less than it may take. Whoever polls the run
    next submits what fits; in the end a person raises it."""
    CANARY = "canary"
    """The first job of its stage has failed: a person tries that one again."""
    SIBLINGS = "siblings"
    """Jobs of its stage have failed of something that it would fail of too."""
    PERSON = "person"
    """A person has cancelled it before it ran; only a person brings it back."""


GATED = frozenset({Wait.GATE, Wait.NOTHING_MORE})
"""A gate keeps the job from being submitted."""


LIMITED = frozenset({Wait.QUEUE_LIMIT, Wait.BUDGET})
"""A bound keeps the job from being submitted: it stays wanted."""


class Doubt(StrEnum):
    """Why it is not known what has become of a job that was submitted, or was about to be."""

    NOWHERE = "nowhere"
    """Queue and accounting were asked, and neither knows it (yet)."""
    UNASKED = "unasked"
    """It has left the queue, and accounting could not be asked."""
    AMBIGUOUS = "ambiguous"
    """The answer to its submission was unclear, and the scheduler could not be asked since."""
    REBUILT = "rebuilt"
    """Only the folders of its attempts are known; they may be old."""


class Record(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    # Most fields of most jobs are at their default, and the file is read at every look.
    omit_defaults=True,
    forbid_unknown_fields=True,
    # Records hold no other object that could lead back to them, so Python's garbage collector need
    # not visit ten thousand of them.
    gc=False,
):
    """What the state file says of one job; ``msgspec.structs.replace`` makes a changed one."""

    name: str
    stage: str
    identity: str
    folder: str
    """Relative to the run folder."""
    attempt: Starts = 0
    """How often it was submitted; attempt n lies in ``<folder>/attempt-<n>``."""
    token: str = ""
    """Last part of the scheduler's job name, as text (see ``Token``); empty while it was never
    submitted."""
    job_id: str | None = None
    """The scheduler's id; None while it is not known."""
    # default_factory, because omit_defaults would drop a plain default: the state is always written
    state: JobState = msgspec.field(default_factory=lambda: JobState.WAITING)
    source: str = "orch"
    """Who said so: results, exit record, sacct, squeue, scheduler, gate, limit, reused or
    orch."""
    seen: Moment = 0.0
    """When the source said so, in Unix seconds."""
    rule: str = ""
    """Which rule of ``reconcile`` decided the state; empty in what older versions wrote."""
    reason: str = ""
    """Why it waits or failed. Text for people only; the code branches on ``waits_on`` and
    ``doubt``."""
    waits_on: Wait | None = None
    """What it waits for, as long as it is not submitted or is held; None: nothing, or it runs."""
    doubt: Doubt | None = None
    """Why its state is UNKNOWN; None: it is not."""
    submitted: Moment | None = None
    started: Moment | None = None
    ended: Moment | None = None
    exit_code: Code | None = None
    host: str | None = None
    restarts: Starts = 0
    """How often the scheduler has started this attempt again: after a time limit, a preemption or a
    failed node."""
    cause: str = ""
    """The kind of failure of the newest attempt (orchestrator/lifecycle/failure_causes.py); empty
    while it has not failed."""
    died_of: str = ""
    """The sentence that is shown instead of the reason: the kind of failure, the line it was read
    from, and what to do."""
    memory_gb: Count | None = None
    """What retries have raised the request to; None: as planned."""
    minutes: Count | None = None
    """The same for the time limit."""
    retries: dict[str, Count] = msgspec.field(default_factory=dict)
    """How often it was submitted again by itself, by kind of failure, over all attempts."""
    due: bool = False
    """Whether it waits to be submitted again by itself."""
    gpu_hours: Moment | None = None
    """What its starts have spent that are over; None: not counted, as in a run without a budget."""
    step: Count | None = None
    """The newest step when a time limit ended it last and it was submitted again by itself."""
    exclude: str = ""
    """Nodes that earlier attempts failed of, with commas between."""
    expected_start: Moment | None = None
    """When the scheduler thought last that it would start; it may have been wrong."""
    reused: str = ""
    """``experiment/run:job``: of whose results this job has taken over; empty: it runs itself."""
    held: bool = False
    """Whether it waits in the queue, held back because others of its stage failed of what it would
    fail of."""

    def to_dict(self) -> dict[str, Any]:
        """Values by key, all of them."""
        return asdict(self)

    @property
    def parsed_token(self) -> Token:
        """The token in its parts."""
        return Token.parse(self.token)

    @property
    def allocation(self) -> str:
        """The token of the job that the scheduler knows: members of a pack share one."""
        # Asked of ten thousand records at a time, and few are in a pack.
        return self.token if "+" not in self.token else self.parsed_token.allocation

    @property
    def packed(self) -> bool:
        """Whether it shares its allocation with other jobs."""
        return "+" in self.token and self.parsed_token.member is not None


@dataclass(frozen=True, slots=True)
class Token:
    """What a submission is known by: written ``<head>``, ``<head>_<index>`` as an element of an
    array, and ``...+<member>`` as one of several jobs in an allocation.

    The head ends the scheduler's job name; the index is the scheduler's own.
    """

    head: str
    index: int | None = None
    member: int | None = None

    @staticmethod
    # The same tokens are parsed many times in one command, which then ends.
    @functools.cache
    def parse(text: str) -> Token:
        """The parts of a token that stands as text in a record or a file."""
        # "3fa94c0b12_4+1": member 1 of the pack that is element 4 of an array.
        allocation, plus, member = text.rpartition("+")
        number = whole(member) if plus else None
        head, index = head_and_index(text if number is None else allocation)
        return Token(head, index, number)

    @property
    def allocation(self) -> str:
        """The token without the member: what the scheduler knows."""
        return self.head if self.index is None else f"{self.head}_{self.index}"

    def __str__(self) -> str:
        return self.allocation if self.member is None else f"{self.allocation}+{self.member}"


@dataclass(frozen=True, slots=True)
class JobId:
    """A scheduler's job id: ``17``, or ``17_3`` for an element of the array 17."""

    head: str
    index: int | None = None

    @staticmethod
    def parse(text: str) -> JobId:
        """The parts of a job id."""
        return JobId(*head_and_index(text))


def head_and_index(text: str) -> tuple[str, int | None]:
    """``17_3`` as ("17", 3); what is no element of an array has no index."""
    head, _, index = text.rpartition("_")
    number = whole(index) if head else None
    return (text if number is None else head), number


# Whoever looks every second would else write a file of ten thousand lines every second.
AGED_SECONDS = 60.0
"""How old the ``seen`` of a saved record may become before it is written anew."""


def unchanged(before: Sequence[Record], after: Sequence[Record]) -> bool:
    """True if the records differ only in ``seen``, and by less than AGED_SECONDS, so that the file
    need not be written."""
    if len(before) != len(after):
        return False
    # The very same object is the common case, and needs no comparison.
    return all(old is new or same_facts(old, new) for old, new in zip(before, after, strict=True))


def same_facts(old: Record, new: Record) -> bool:
    """Whether two records differ only in ``seen``, and by less than AGED_SECONDS."""
    return new.seen - old.seen < AGED_SECONDS and replace(old, seen=new.seen) == new
