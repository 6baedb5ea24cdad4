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
import fcntl
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from orchestrator.errors import RunError
from orchestrator.folders import cache_folder

MINUTE_SECONDS = 60.0
SHARED_SECONDS = 5.0
"""An answer this young is as good as a new one to a command that only shows it."""
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


def folder() -> Path:
    """Where it lies. RunError if it cannot be made."""
    path = cache_folder()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be made ({error.strerror}); orch counts its calls of Slurm "
            "there: set ORCH_CACHE to a folder "
            "that you may write to"
        ) from error
    return path


@contextlib.contextmanager
def locked(path: Path) -> Iterator[IO[str]]:
    """A file, opened to be read and written anew by one process at a time; the lock goes with the
    process."""
    with path.open("a+") as file:
        # A POSIX lock, because the home folder is often on NFS, which passes it on to the server.
        fcntl.lockf(file, fcntl.LOCK_EX)
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
    with locked(folder() / "calls") as file:
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
    with locked(folder() / "changed") as file:
        rewrite(file, repr(time.time()))


def shared(question: str, ask: Callable[[], CachedAnswer]) -> CachedAnswer:
    """The answer to a question by whoever of the user's processes asked it last, or a new one if
    that is too old.

    Who comes while another process asks waits for its answer; that it could not ask is an answer
    too, so twenty terminals do not wait for a dead controller one after the other.
    """
    with locked(folder() / f"{hashlib.sha256(question.encode()).hexdigest()[:16]}.answer") as file:
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
        return CachedAnswer(**json.loads(text))
    except (ValueError, TypeError):
        return None


def last_change() -> float:
    """When a job was last submitted, ended or held by orch, in Unix seconds."""
    try:
        return number((folder() / "changed").read_text()) or 0.0
    except FileNotFoundError:
        return 0.0
