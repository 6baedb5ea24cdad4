"""Take an attempt for one job of the scheduler, and for no other.

In: the folder of the attempt, its token, the scheduler's id of this job. Out: ``claim.json`` there,
and the number of this start, or that somebody else has the attempt; how many starts before it were
lost. Called by attempt.py before anything else.
"""

from __future__ import annotations

import contextlib
import os

from orchestrator.node.system import claim_of, lives, read_json, take, write_json

NODE_FAILURE = "node failure"
"""What the death of a node is called in `retry` of a plan, and in records."""


def claim(attempt: str, token: str, job_id: str, neighbours: int = 0) -> int | None:
    """Take the attempt for this job id. Returns how often this id had it before, or None if another
    id has it."""
    mine = claim_of(token, job_id) | {"neighbours": neighbours}
    if take(attempt, mine):
        return 0
    path = os.path.join(attempt, "claim.json")
    held = read_json(path)
    if held["job_id"] != job_id:
        print(
            f"orch: job {held['job_id']} on {held['host']} has this attempt; {job_id} "
            "ends without work",
            flush=True,
        )
        return None
    # A local scheduler that came after a kill may have started the job a second time.
    if held["host"] == mine["host"] and lives(held):
        print(
            f"orch: process {held['pid']} already works on this attempt; this one ends "
            "without work",
            flush=True,
        )
        return None
    # The scheduler started the same job again (requeue): it is ours to continue.
    keep_exit_record(attempt, held["restart"])
    write_json(path, mine | {"restart": held["restart"] + 1})
    return int(held["restart"]) + 1


def keep_exit_record(attempt: str, restart: int) -> None:
    """Keep the exit record of the start before under its number, if it has left one."""
    path = os.path.join(attempt, "exit.json")
    with contextlib.suppress(FileNotFoundError, FileExistsError, ValueError):
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
