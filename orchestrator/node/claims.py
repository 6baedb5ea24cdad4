"""Take an attempt for one job of the scheduler, and for no other.

In: the folder of the attempt, its token, the scheduler's id of this job. Out: ``claim.json`` there,
and the number of this start, or that somebody else has the attempt; how many starts before it were
lost. Called by attempt.py before anything else. The room for the records of its end is kept here
too, as a program may fill the disk.
"""

from __future__ import annotations

import errno
import os

from orchestrator.node.cost import MOST_STARTS
from orchestrator.node.light.forms import Damaged
from orchestrator.node.light.standard import suppress
from orchestrator.node.system import claim_of, lives, read_json, take, write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NODE_FAILURE = "node failure"
"""What the death of a node is called in `retry` of a plan, and in records."""


def claim(attempt: str, token: str, job_id: str, neighbours: int = 0) -> int | None:
    """Take the attempt for this job id. Returns how often this id had it before, or None if another
    id has it. Damaged if nobody can say who has it."""
    mine = claim_of(token, job_id) | {"neighbours": neighbours}
    if take(attempt, mine):
        return 0
    path = os.path.join(attempt, "claim.json")
    try:
        held = read_json(path)
        holder, again = held["job_id"], int(held["restart"]) + 1
        alive = held["host"] == mine["host"] and lives(held)
        if not 0 < again <= MOST_STARTS:
            raise ValueError("it has a number of starts that there cannot be")
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        # Whose it was cannot be known, and two must not work on it.
        raise Damaged(f"{path}: damaged ({error}); orch retry makes a new attempt") from error
    if holder != job_id:
        print(
            f"orch: job {holder} on {held['host']} has this attempt; {job_id} ends without work",
            flush=True,
        )
        return None
    # A local scheduler that came after a kill may have started the job a second time.
    if alive:
        print(
            f"orch: process {held['pid']} already works on this attempt; this one ends "
            "without work",
            flush=True,
        )
        return None
    # The scheduler started the same job again (requeue): it is ours to continue.
    keep_exit_record(attempt, again - 1)
    write_json(path, mine | {"restart": again})
    return again


def keep_exit_record(attempt: str, restart: int) -> None:
    """Keep the exit record of the start before under its number, if it has left one."""
    path = os.path.join(attempt, "exit.json")
    with suppress(FileNotFoundError, FileExistsError, ValueError, AttributeError):
        # After a start without a word it is the one of a start before that, which is kept already.
        if read_json(path).get("restart", 0) == restart:
            os.link(path, os.path.join(attempt, f"exit-{restart}.json"))


def lost_too_often(attempt: str, restart: int, most: int | None) -> str:
    """Why a job is not to be started again after so many lost starts; empty: it may.

    A start is lost if it ends without a word: its node failed, or Slurm killed it before it could
    say anything. Slurm itself starts such a job again without end.

    Args:
        restart: the number of the present start.
        most: how many may be lost; None: any number.
    """
    silent = sum(
        not os.path.exists(os.path.join(attempt, f"exit-{number}.json"))
        for number in range(restart)
    )
    # Starts that did not come as far as their claim.
    before_their_claim = int(os.environ.get("SLURM_RESTART_COUNT") or 0) - restart
    lost = silent + max(0, before_their_claim)
    if most is None or lost <= most:
        return ""
    starts = "start" if lost == 1 else "starts"
    return (
        f"the scheduler has started it again after {lost} {starts} that ended without a word, and "
        f"retry allows {most} for failures of nodes"
    )


RESERVE, RESERVED_BYTES = ".reserve", 64 * 1024
"""File in the folder of an attempt that holds room for its records while it runs."""


def reserve(attempt: str) -> None:
    """Keep room for the records that are written when the program has ended: by then it may have
    filled the disk, and what it has done would not be known."""
    with suppress(OSError), open(os.path.join(attempt, RESERVE), "wb") as file:
        file.write(b"\0" * RESERVED_BYTES)


def release(attempt: str) -> bool:
    """Give the room back; whether there was any."""
    try:
        os.unlink(os.path.join(attempt, RESERVE))
    except OSError:
        return False
    return True


def put(attempt: str, path: str, document: dict[str, Any]) -> None:
    """Write a record; on a full disk into the room that was kept for it."""
    try:
        write_json(path, document)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not release(attempt):
            raise
        write_json(path, document)


def fit_to_show(attempt: str, reason: str, code: int) -> str:
    """Why an attempt failed, for its exit record: without secrets, as others see it; a full disk
    where the log had no room for a word."""
    if reason:
        from orchestrator.node.redaction import redacted_output

        return redacted_output(reason)
    return os.strerror(errno.ENOSPC) if code and is_full(attempt) else ""


def is_full(attempt: str) -> bool:
    """Whether there is no room where an attempt's folder lies, or no more is allowed."""
    path = os.path.join(attempt, f"{RESERVE}.more")
    try:
        with open(path, "wb") as file:
            file.write(b"\0" * 4096)
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    finally:
        with suppress(OSError):
            os.unlink(path)
    return False
