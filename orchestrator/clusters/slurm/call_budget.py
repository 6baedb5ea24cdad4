"""Limit how often all orch processes of a user call Slurm's programs, and share the newest answers
between them.

In: how many calls a minute are allowed at most and how long they took, or a question and how to
ask it. Out: when a call may be
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
import threading
import time
from collections import deque
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
MOST_OLD = 1000
"""Stamps of more than a minute ago that are left in the file."""
SLOW_PER_MINUTE = 120
"""Calls that may be made however slowly Slurm answers."""
SLURMS_SHARE = 0.2
"""Part of the time that Slurm may be busy with calls of orch, as far as it answers quickly."""
REMEMBERED = 15
"""Calls by which it is judged how quickly it answers."""
IN_THIS_PROCESS = threading.Lock()
"""Beside the locks of files, which are a process's and keep no thread of it out."""


class Pace:
    """How often Slurm may be called, by how quickly it has answered this process.

    Args:
        ceiling: calls a minute that are never exceeded.
    """

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.seconds: deque[float] = deque(maxlen=REMEMBERED)

    def note(self, seconds: float) -> None:
        """That a call has taken so long."""
        self.seconds.append(seconds)

    def per_minute(self) -> int:
        """Calls a minute. Before there is an answer as many as of a slow Slurm."""
        answered = sorted(self.seconds)
        if not answered:
            return min(self.ceiling, SLOW_PER_MINUTE)
        typical = max(0.001, answered[len(answered) // 2])
        quick = int(MINUTE_SECONDS * SLURMS_SHARE / typical)
        return min(self.ceiling, max(SLOW_PER_MINUTE, quick))


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
    # Over it, and then cut: a file that was cut to nothing first is forced to disk by ext4 when it
    # is closed, which takes as long as sbatch. After a kill in between some old stamps count on.
    file.seek(0)
    file.write(text)
    file.flush()
    file.truncate()


def take(per_minute: int, submits: bool = False) -> float:
    """Count one call if the last minute has room for it, over all processes of the user.

    Returns 0.0 if it may be made, else the seconds until there is room; then nothing was counted.
    """
    # At least one, or a profile with calls_per_minute: 1 could never submit.
    most = max(1, int(per_minute * SUBMITTING_SHARE)) if submits else per_minute
    with IN_THIS_PROCESS, locked("calls") as file:
        now, text = time.time(), file.read()
        stamps = [number(line) for line in text.splitlines()]
        # A stamp far in the future is from before the clock was set back.
        recent = sorted(
            stamp for stamp in stamps if stamp is not None and abs(now - stamp) < MINUTE_SECONDS
        )
        if len(recent) >= most:
            # There is room once the oldest of the newest `most` calls is a minute old.
            return max(0.01, recent[-most] + MINUTE_SECONDS - now)
        if len(stamps) - len(recent) > MOST_OLD:
            rewrite(file, "".join(f"{stamp!r}\n" for stamp in [*recent, now]))
        else:
            # Behind a line that a kill has torn, if there is one.
            file.write(f"{now!r}\n" if text.endswith("\n") or not text else f"\n{now!r}\n")
    return 0.0


def spend(pace: Pace, submits: bool = False) -> None:
    """Count one call, as soon as there is room for it."""
    while (seconds := take(pace.per_minute(), submits)) > 0:
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
    with IN_THIS_PROCESS, locked("changed") as file:
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
