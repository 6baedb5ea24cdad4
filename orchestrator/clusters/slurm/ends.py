"""What Slurm's words for a job's state and end mean.

In: cells of squeue and sacct. Out: a state, an exit code, one line of why. Pure. Called by
parse.py.
"""

from __future__ import annotations

import re

from orchestrator.runs.record import JobState

STATES = {
    "PENDING": JobState.PENDING,
    "CONFIGURING": JobState.PENDING,
    # Requeued, with whatever keeps them from starting again.
    "REQUEUED": JobState.PENDING,
    "REQUEUE_HOLD": JobState.PENDING,
    "REQUEUE_FED": JobState.PENDING,
    "SPECIAL_EXIT": JobState.PENDING,
    "RESV_DEL_HOLD": JobState.PENDING,
    "RUNNING": JobState.RUNNING,
    "RESIZING": JobState.RUNNING,
    "SIGNALING": JobState.RUNNING,
    "STAGE_OUT": JobState.RUNNING,
    "COMPLETING": JobState.COMPLETING,
    # SUSPENDED has given its CPUs back; STOPPED got SIGSTOP and keeps them.
    "SUSPENDED": JobState.SUSPENDED,
    "STOPPED": JobState.SUSPENDED,
    "COMPLETED": JobState.COMPLETED,
    "FAILED": JobState.FAILED,
    "BOOT_FAIL": JobState.NODE_FAIL,
    "NODE_FAIL": JobState.NODE_FAIL,
    "CANCELLED": JobState.CANCELLED,
    # In a federation another cluster has started the job.
    "REVOKED": JobState.CANCELLED,
    # The time of sbatch --deadline has come.
    "DEADLINE": JobState.TIMEOUT,
    "TIMEOUT": JobState.TIMEOUT,
    "OUT_OF_MEMORY": JobState.OUT_OF_MEMORY,
    "PREEMPTED": JobState.PREEMPTED,
}


def job_state(text: str) -> JobState:
    """Slurm's word as a state: ``CANCELLED by 1000`` and ``RUNNING+`` too. A word we do not know is
    UNKNOWN, never a failure."""
    return STATES.get(re.split(r"[ +]", text.strip(), maxsplit=1)[0], JobState.UNKNOWN)


FROM_SIGNALS = 128
"""What sacct takes off every exit code from this one on (22.05), where it stands for a signal of
the job's shell or not."""


def codes(code: str) -> list[int]:
    """The exit codes that sacct may mean by this one of a job that has failed."""
    if not code.isdigit():
        return []
    said = int(code)
    # With 0 it would not have failed.
    low = [said] if said else []
    return low if said >= FROM_SIGNALS else [*low, said + FROM_SIGNALS]


def known_code(state: str, code: str, signal: str) -> int | None:
    """The exit code, where sacct's leaves no doubt."""
    if not code.isdigit():
        return None
    if job_state(state) is not JobState.FAILED or signal not in ("", "0"):
        return int(code)
    possible = codes(code)
    return possible[0] if len(possible) == 1 else None


ENDED_BY = {
    JobState.TIMEOUT: "time limit reached",
    JobState.OUT_OF_MEMORY: "out of memory (host)",
    JobState.NODE_FAIL: "node failed",
    JobState.PREEMPTED: "preempted",
}
"""What a state of sacct says by itself."""


def why_it_ended(state: str, code: str, signal: str, reason: str) -> str:
    """One line from a row of sacct: its state, the two parts of its exit code, and Slurm's reason
    where it says more. Empty for a job that goes on or ended well."""
    known = job_state(state)
    why = ENDED_BY.get(known, "")
    if known is JobState.CANCELLED:
        why = state.strip().lower() if " by " in state else "cancelled"
    elif known is JobState.FAILED:
        possible = " or ".join(map(str, codes(code))) or code
        why = f"exit code {possible}" if signal in ("", "0") else f"ended by signal {signal}"
    says_nothing = reason in ("", "None", "Dependency", "Priority", "Resources")
    if says_nothing or known is JobState.COMPLETED:
        return why
    return f"{why} ({reason})" if why else reason
