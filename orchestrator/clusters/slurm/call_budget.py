"""Limit how often all orch processes of a user call Slurm's programs, and share the newest answers
between them.

In: how many calls a minute are allowed, or a question and how to ask it. Out: when a call may be
made, or an answer. Called by calls.py and queries.py. The files:

    ~/.cache/orch/calls             one time stamp for each call of the last minute
                 /changed           when a job was last submitted, ended or held: an older answer
                                    is not used any more
                 /<hash>.answer     what squeue or sacct said, and when it was asked

They lie in the home folder (or where ``XDG_CACHE_HOME`` or ``ORCH_CACHE`` says) and not with the
runs, because the limit is the user's: terminals with different folders of runs, and the jobs that
look at gates, take from the same one. Removing the folder at any time does no harm.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import IO

import msgspec

from orchestrator.errors import RunError
from orchestrator.folders import cache_folder
from orchestrator.runs.documents.lock_files import LOCK_SECONDS, locked_file, made_cache_folder

MINUTE_SECONDS = 60.0
SHARED_SECONDS = 5.0
"""An answer this young is as good as a new one to a command that only shows it."""
ANSWER_SECONDS = 180.0
"""How long to wait for another process that asks; Slurm's programs are given up before."""
SUBMITTING_SHARE = 0.8
"""Part of the calls that submissions may use up; the rest is for whoever wants to see what became
of them."""


@dataclass(frozen=True, kw_only=True)
class CachedAnswer:
    """An answer of one of Slurm's programs."""

    asked: float
    """When, in Unix seconds."""
    text: str | None
    """None: it could not be asked."""
    trouble: str = ""
    """Why not."""


@contextlib.contextmanager
def locked(name: str, seconds: float = LOCK_SECONDS) -> Iterator[IO[str]]:
    """A file of the cache folder, opened to be read and written anew by one process at a time; the
    lock goes with the process. RunError names who keeps it."""
    with locked_file(made_cache_folder() / name, seconds, moved_by="ORCH_CACHE") as file:
        file.seek(0)
        yield file


def rewrite(file: IO[str], text: str) -> None:
    """Put this in place of what is in the file."""
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()


def take(per_minute: int, submits: bool = False) -> float:
    """Count one call if the last minute has room for it, over all processes of the user.

    Returns 0.0 if it may be made, else the seconds until there is room; then nothing was counted.
    """
    # At least one, or a profile with calls_per_minute: 1 could never submit.
    most = max(1, int(per_minute * SUBMITTING_SHARE)) if submits else per_minute
    with locked("calls") as file:
        now = time.time()
        stamps = [number(line) for line in file]
        # A stamp far in the future is from before the clock was set back.
        recent = sorted(
            stamp for stamp in stamps if stamp is not None and abs(now - stamp) < MINUTE_SECONDS
        )
        if len(recent) >= most:
            # There is room once the oldest of the newest `most` calls is a minute old.
            return max(0.01, recent[-most] + MINUTE_SECONDS - now)
        rewrite(file, "".join(f"{stamp!r}\n" for stamp in [*recent, now]))
    return 0.0


def spend(per_minute: int, submits: bool = False) -> None:
    """Count one call, as soon as there is room for it."""
    while (seconds := take(per_minute, submits)) > 0:
        # In short steps: when there is room, another process may have taken it.
        time.sleep(min(seconds, 1.0))


def number(line: str) -> float | None:
    """The number in a line; None if a kill has torn it."""
    try:
        return float(line)
    except ValueError:
        return None


def changed() -> None:
    """Note that what the scheduler would say has just been changed by us."""
    with locked("changed") as file:
        rewrite(file, repr(time.time()))


def shared(question: str, ask: Callable[[], CachedAnswer]) -> CachedAnswer:
    """The answer to a question by whoever of the user's processes asked it last, or a new one if
    that is too old.

    Who comes while another process asks waits for its answer; that it could not ask is an answer
    too, so twenty terminals do not wait for a dead controller one after the other.
    """
    name = f"{hashlib.sha256(question.encode()).hexdigest()[:16]}.answer"
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(locked(name, ANSWER_SECONDS))
        except RunError as error:
            return CachedAnswer(asked=time.time(), text=None, trouble=str(error))
        answer = read(file.read())
        if answer is None or not is_fresh(answer):
            answer = ask()
            rewrite(file, json.dumps(asdict(answer)))
        return answer


def is_fresh(answer: CachedAnswer) -> bool:
    """Whether an answer is young enough, and nothing was changed since."""
    # A negative age means that the clock was set back.
    young = 0.0 <= time.time() - answer.asked < SHARED_SECONDS
    return young and answer.asked > last_change()


def read(text: str) -> CachedAnswer | None:
    """An answer from its file; None if there is none, or a kill has torn it."""
    try:
        return msgspec.json.decode(text, type=CachedAnswer)
    except (msgspec.DecodeError, RecursionError):
        return None


def last_change() -> float:
    """When a job was last submitted, ended or held by orch, in Unix seconds."""
    try:
        noted = number((cache_folder() / "changed").read_text(errors="replace")) or 0.0
    except OSError:
        return 0.0
    # One that lies in the future is from before the clock was set back.
    return noted if noted <= time.time() else 0.0
