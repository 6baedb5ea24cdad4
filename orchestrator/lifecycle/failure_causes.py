"""Why a job failed: one kind, the line it was read from, and what to do. Pure.

In go a record that has failed, its exit record and the last lines of its log; out comes a
``Cause``, or by ``with_cause`` the record that says it. What counts is, in this order, the
scheduler's final state and words, what the node saw of the kernel's memory killer, the exception
that ended the program with what it was raised from, the other lines of the log. One failure drags
others behind it (a rank out of GPU memory ends as a dead actor and a broken collective elsewhere),
so of several processes the one whose exception explains the others counts, whatever stands last.
Every pass calls it (orchestrator/lifecycle/observe.py); retry_policy.py decides what follows.

What is known of logs lies in deaths/: kinds, lines, tracebacks, signatures.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from orchestrator.lifecycle.deaths import signatures
from orchestrator.lifecycle.deaths.kinds import ADVICE, BY_STATE, Kind
from orchestrator.lifecycle.deaths.lines import LINES, Line, cleaned
from orchestrator.lifecycle.deaths.patterns import compiled
from orchestrator.lifecycle.deaths.tracebacks import Raised, exceptions
from orchestrator.runs.record import FAILED, JobState, Record
from orchestrator.runs.sources import ExitRecord

EXPLAINS = tuple(kind for kind, _ in signatures.WORDS)
"""Kinds, the one that explains the others first."""
# What a process says last when another one of its job was killed.
AFTER_A_KILL = frozenset(
    {Kind.UNKNOWN, Kind.RAY, Kind.CODE, Kind.COMMUNICATION, Kind.NETWORK, Kind.CRASH}
)
PLAIN = frozenset({Kind.CODE, Kind.UNKNOWN, Kind.COMMUNICATION, Kind.RAY})
"""Kinds of an exception that what it was raised from may explain."""
HARD = frozenset(
    {
        Kind.HOST_MEMORY,
        Kind.SHARED_MEMORY,
        Kind.GPU_MEMORY,
        Kind.CACHE_BLOCKS,
        Kind.DISK,
        Kind.NODE,
        Kind.FILE_SYSTEM,
        Kind.NETWORK,
        Kind.PORT,
        Kind.LIMIT,
        Kind.CRASH,
    }
)
"""Kinds that programs seldom catch and go on: they count although they were being handled when the
last exception was raised, or ended another process."""
BY_SIGNAL: dict[int, Kind] = {
    signal.SIGSEGV: Kind.CRASH,
    signal.SIGABRT: Kind.CRASH,
    signal.SIGFPE: Kind.CRASH,
    signal.SIGILL: Kind.PROGRAM,
    # A page of a mapped file or of /dev/shm that cannot be had.
    signal.SIGBUS: Kind.SHARED_MEMORY,
}
"""What a program without words died of, by the signal that ended it."""
SHELL_SIGNAL = 128
"""A shell's exit code for a program that a signal ended, less the signal's number."""
MISTAKE = (
    r"(?i)\s*(?:\[?(?:fatal )?error\]?\b(?! ?rate| in rule)|fatal\b|exception in thread"
    r"|terminate called|what\(\): |usage: |execution halted|uncaught|unhandled|could not override)"
    r"|.{0,200}\bpanicked at\b"
)
"""How programs in other languages begin the line that says why they end."""
NEAR = 30
SETUP_ENDED = "orch-error: setup ended with exit code"
"""How a job script says that a line of the profile's setup has ended it (``set_up_lines`` in
orchestrator/description/profile.py)."""


@dataclass(frozen=True)
class Cause:
    """Why a job failed."""

    kind: Kind
    line: str
    """The log line, or the scheduler's word, that says so; empty if nothing does."""

    @property
    def advice(self) -> str:
        """What to do, in a few words."""
        return ADVICE[self.kind]

    def __str__(self) -> str:
        named = f"{self.kind}: {self.line}" if self.line else str(self.kind)
        return f"{named}; {self.advice}"


def with_cause(record: Record, exit_record: ExitRecord | None, log: Sequence[bytes]) -> Record:
    """A failed record with why it failed, found once; one that has not failed (any more) without.

    Args:
        exit_record: of the newest attempt that has written one.
        log: the last lines of its log.
    """
    if record.state not in FAILED:
        return replace(record, cause="", died_of="") if record.cause else record
    if not record.cause:
        own = exit_record if exit_record is not None and exit_record.token == record.token else None
        # Remarks of the program on the node; what it calls an error begins with "orch-error: ".
        lines = [
            line.decode(errors="replace") for line in log[-LINES:] if not line.startswith(b"orch: ")
        ]
        cause = cause_of(record.state, record.reason, own, lines)
        record = replace(record, cause=str(cause.kind), died_of=explanation(record, cause, own))
        if own is not None and own.died_first is not None:
            # The scheduler names all nodes of a job; a retry should leave out one at most.
            record = replace(record, host=own.host)
    return replace(record, reason=record.died_of) if record.died_of else record


def explanation(record: Record, cause: Cause, exit_record: ExitRecord | None) -> str:
    """What is shown as the reason; empty where the record's own reason says as much."""
    if (
        cause.kind is Kind.UNKNOWN
        and exit_record is not None
        and exit_record.reason
        and exit_record.exit_code > 0
    ):
        # A last line alone does not say that it was the last.
        return f"exit code {exit_record.exit_code}: {record.reason}"
    if cause.kind in (Kind.UNKNOWN, Kind.CANCELLED):
        return ""
    first = exit_record.died_first if exit_record is not None else None
    if first is None or first["node"] is None:
        return str(cause)
    return f"node {first['node']} ended first: {cause}"


def cause_of(
    state: JobState, said: str, exit_record: ExitRecord | None, log: Sequence[str]
) -> Cause:
    """The cause of a job that did not complete.

    Args:
        state: its final state.
        said: what came with it: the reason of the scheduler or of the exit record.
        exit_record: None if it has written none.
        log: the last lines of its log, in order.
    """
    found = from_log(log)
    if state in BY_STATE:
        kind = BY_STATE[state]
        # A line of the log is quoted if it tells of the same; else the scheduler's word is.
        return Cause(kind, found.line if found.kind is kind else said)
    if exit_record is not None and exit_record.oom_kills and found.kind in AFTER_A_KILL:
        return Cause(
            Kind.HOST_MEMORY,
            f"the kernel killed {exit_record.oom_kills} of its processes for want of memory",
        )
    if found.kind is not Kind.UNKNOWN:
        return found
    return Cause(by_signal(exit_record), said)


def by_signal(exit_record: ExitRecord | None) -> Kind:
    """What the signal tells that ended a program without words."""
    if exit_record is None:
        return Kind.UNKNOWN
    number = -exit_record.exit_code
    if exit_record.exit_code > SHELL_SIGNAL:
        number = exit_record.exit_code - SHELL_SIGNAL
    return BY_SIGNAL.get(number, Kind.UNKNOWN)


def from_log(log: Sequence[str]) -> Cause:
    """The cause that a log's last lines name."""
    lines = cleaned(log)
    texts = [line.text for line in lines]
    said = signatures.of_scheduler(texts)
    if said is not None:
        return quoting(*said)
    setup = [n for n, text in enumerate(texts) if text.startswith(SETUP_ENDED)]
    if setup:
        return of_setup(texts, setup[-1])
    raised = exceptions(lines)
    found = of_exceptions(raised)
    killed = signatures.kill_for_memory(texts)
    if killed and (found is None or found.kind in AFTER_A_KILL):
        return quoting(Kind.HOST_MEMORY, killed)
    return found or of_other_lines(lines, raised)


def of_setup(texts: Sequence[str], end: int) -> Cause:
    """The cause of a death before the program began: what the line of the setup said just before,
    if it said anything."""
    said = signatures.by_place(texts[max(0, end - 2) : end])
    if said is None:
        return quoting(Kind.SETUP, texts[end])
    kind, line = said
    return quoting(kind, f"{texts[end]}: {line}")


def of_exceptions(raised: Sequence[Raised]) -> Cause | None:
    """The cause by the exception that ended the program; None if all that is there follows from
    something else."""
    last: dict[str, tuple[Raised, Cause]] = {}
    for one in raised:
        before = last.get(one.source)
        # A line that only looks like an exception does not stand against a traceback.
        if before is not None and ends(before[0]) and not ends(one):
            continue
        cause = judged(one)
        if cause.kind not in (Kind.UNKNOWN, *signatures.LATE):
            last[one.source] = (one, cause)
    own = last.pop("", None)
    others = sorted((cause for _, cause in last.values()), key=rank)
    if own is None:
        return others[0] if others else None
    _, main = own
    # The launcher's own exception may say no more than that a process of its has ended.
    if main.kind is Kind.CODE and others and others[0].kind in HARD:
        return others[0]
    return main


def ends(raised: Raised) -> bool:
    """Whether it has ended a process, as far as its looks tell."""
    return raised.traceback or not raised.name


def rank(cause: Cause) -> int:
    """Less for a kind that explains those with more."""
    return EXPLAINS.index(cause.kind) if cause.kind in EXPLAINS else len(EXPLAINS)


def judged(raised: Raised) -> Cause:
    """What one exception tells, with what it was raised from."""
    kind = signatures.of_exception(raised)
    if kind not in PLAIN and not signatures.follows(raised):
        return of_raised(kind, raised)
    for cause in raised.causes:
        inner = signatures.of_exception(cause)
        if inner not in PLAIN:
            return of_raised(inner, cause)
    for context in raised.contexts:
        inner = signatures.of_exception(context)
        if inner in HARD:
            return of_raised(inner, context)
    if not signatures.follows(raised):
        return of_raised(kind, raised)
    # It says nothing itself, and what it was raised from is at least a mistake.
    for one in (*raised.causes, *raised.contexts):
        if not signatures.follows(one):
            return of_raised(signatures.of_exception(one), one)
    return of_raised(kind, raised)


def of_raised(kind: Kind, raised: Raised) -> Cause:
    """A cause that quotes an exception, with the line of its message that tells the kind."""
    if signatures.of_text(raised.text, {kind}) is None:
        for line in raised.message:
            if signatures.of_text(line, {kind}) is not None:
                return quoting(kind, f"{raised.text} {line}")
    return quoting(kind, raised.text)


def of_other_lines(lines: Sequence[Line], raised: Sequence[Raised]) -> Cause:
    """The cause by lines outside of the exceptions that follow from something else, or by these."""
    # Frames of tracebacks; R puts two spaces before what it says of an error.
    frames = ("    ", '  File "')
    texts = [line.text for line in lines if not line.text.startswith(frames)]
    found = signatures.of_lines(texts)
    if found is not None:
        return quoting(*found)
    following = [signatures.of_exception(one) for one in raised]
    known = [(kind, one) for kind, one in zip(following, raised, strict=True) if kind in EXPLAINS]
    if known:
        kind, one = min(known, key=lambda pair: EXPLAINS.index(pair[0]))
        return quoting(kind, one.text)
    mistakes = [text for text in texts[-NEAR:] if compiled(MISTAKE).match(text)]
    if mistakes:
        return quoting(Kind.CODE, mistakes[-1])
    return Cause(Kind.UNKNOWN, "")


def quoting(kind: Kind, line: str) -> Cause:
    """A cause with its line as it is shown."""
    return Cause(kind, shortened(line.strip()))


def shortened(line: str, most: int = 300) -> str:
    """A line without what makes it too long to read."""
    line = line.removeprefix("orch-error: ")
    return line if len(line) <= most else f"{line[: most - 3]}..."


def alike(line: str) -> str:
    """A line without what differs between jobs that fail of the same: numbers, addresses, quoted
    paths."""
    # "step 312: loss is nan" becomes "step #: loss is nan".
    return re.sub(r"0x[0-9a-f]+|\d+(?:\.\d+)?|/\S+", "#", line)
