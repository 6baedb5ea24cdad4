"""Take an attempt for one job of the scheduler, and for no other.

In: the folder of the attempt, its token, the scheduler's id of this job. Out: ``claim.json`` there,
and the number of this start, or that somebody else has the attempt. Called by attempt.py before
anything else. The room for the records of its end is kept here too, as a program may fill the disk.
"""

from __future__ import annotations

import contextlib
import errno
import os

from orchestrator.node.system import Damaged, claim_of, lives, read_json, take, write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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
    except (ValueError, KeyError, TypeError) as error:
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
    # The scheduler started the same job again (requeue): it is ours to continue. The exit record of
    # the start before is kept under its number.
    with contextlib.suppress(FileNotFoundError, FileExistsError):
        os.link(
            os.path.join(attempt, "exit.json"),
            os.path.join(attempt, f"exit-{held['restart']}.json"),
        )
    write_json(path, mine | {"restart": again})
    return again


RESERVE, RESERVED_BYTES = ".reserve", 64 * 1024
"""File in the folder of an attempt that holds room for its records while it runs."""


def reserve(attempt: str) -> None:
    """Keep room for the records that are written when the program has ended: by then it may have
    filled the disk, and what it has done would not be known."""
    with contextlib.suppress(OSError), open(os.path.join(attempt, RESERVE), "wb") as file:
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
        from orchestrator.node.redaction import redacted

        return redacted(reason)
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
        with contextlib.suppress(OSError):
            os.unlink(path)
    return False
