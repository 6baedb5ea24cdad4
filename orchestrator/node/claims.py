"""Take an attempt for one job of the scheduler, and for no other.

In: the folder of the attempt, its token, the scheduler's id of this job. Out: ``claim.json`` there,
and the number of this start, or that somebody else has the attempt. Called by attempt.py before
anything else.
"""

from __future__ import annotations

import contextlib
import os

from orchestrator.node.system import Damaged, claim_of, lives, read_json, take, write_json


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
