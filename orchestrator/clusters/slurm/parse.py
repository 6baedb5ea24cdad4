"""What squeue, sacct and sacctmgr say, read. Pure: text in, values out."""

from __future__ import annotations

import datetime
import re

from msgspec.structs import replace

from orchestrator.clusters.batch import expanded
from orchestrator.description.profile import Profile
from orchestrator.runs.record import JobState
from orchestrator.runs.sources import SchedulerRecord

STATES = {
    "PENDING": JobState.PENDING,
    "CONFIGURING": JobState.PENDING,
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
    "SUSPENDED": JobState.SUSPENDED,
    "STOPPED": JobState.SUSPENDED,
    "COMPLETED": JobState.COMPLETED,
    "FAILED": JobState.FAILED,
    "BOOT_FAIL": JobState.NODE_FAIL,
    "NODE_FAIL": JobState.NODE_FAIL,
    "CANCELLED": JobState.CANCELLED,
    "REVOKED": JobState.CANCELLED,
    "DEADLINE": JobState.TIMEOUT,
    "TIMEOUT": JobState.TIMEOUT,
    "OUT_OF_MEMORY": JobState.OUT_OF_MEMORY,
    "PREEMPTED": JobState.PREEMPTED,
}

SQUEUE_FORMAT = "%i\x1f%j\x1f%T\x1f%r\x1f%S\x1f%N"
SACCT_STATES = "CA,CD,F,TO,OOM,NF,PR,BF,DL,RV,PD,R,S,RQ"
"""Naming the states, and an end, makes sacct show jobs too that were cancelled before they could
ever have started."""
SACCT_FIELDS = "JobID,JobName%500,State,ExitCode,Start,End,NodeList,Reason"


def job_state(text: str) -> JobState:
    """Slurm's word as a state: ``CANCELLED by 1000`` and ``RUNNING+`` too. A word we do not know is
    UNKNOWN, never a failure."""
    return STATES.get(re.split(r"[ +]", text.strip(), maxsplit=1)[0], JobState.UNKNOWN)


def seconds(text: str) -> float | None:
    """Slurm's local time stamp as Unix seconds; None for Unknown, None and N/A."""
    try:
        return datetime.datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        return None


def parse_squeue(text: str, asked: float | None = None) -> dict[str, SchedulerRecord]:
    """Jobs by token from squeue in SQUEUE_FORMAT. A job that is waiting shows why.

    Elements of an array that are alike share a line (``123_[4-9,12%3]``). ValueError if a line
    cannot be read whole.
    """
    found = {}
    for line in text.splitlines():
        job_id, name, state, reason, start, nodes = line.split("\x1f")
        known = job_state(state)
        token = name.rpartition(".")[2]
        why = "" if reason == "None" or known is not JobState.PENDING else reason
        started, expected = (
            (None, seconds(start)) if known is JobState.PENDING else (seconds(start), None)
        )
        first = SchedulerRecord(
            job_id=job_id,
            token=token,
            state=known,
            reason=why,
            started=started,
            expected_start=expected,
            host=nodes or None,
            source="squeue",
            asked=asked,
        )
        for one in expanded(job_id):
            whole = element_token(token, one)
            found[whole] = replace(first, job_id=one, token=whole)
    return found


def element_token(token: str, job_id: str) -> str:
    """The token of a job by the one in its name and its id: ``123_4`` is element 4 of its array."""
    index = job_id.partition("_")[2]
    return f"{token}_{index}" if index else token


def parse_sacct(text: str, asked: float | None = None) -> dict[str, SchedulerRecord]:
    """Jobs by token from sacct -P with SACCT_FIELDS. Of several rows with one token the last
    submitted counts."""
    found: dict[str, SchedulerRecord] = {}
    for line in text.splitlines():
        fields = line.split("|")
        # A job name may hold the delimiter; nothing else in the line can.
        job_id, name, rest = fields[0], "|".join(fields[1:-6]), fields[-6:]
        state, exit_code, start, end, nodes, reason = rest
        known = job_state(state)
        token = name.rpartition(".")[2]
        code, _, number = exit_code.partition(":")
        why = {
            JobState.TIMEOUT: "time limit reached",
            JobState.OUT_OF_MEMORY: "out of memory (host)",
            JobState.NODE_FAIL: "node failed",
            JobState.PREEMPTED: "preempted",
        }.get(known, "")
        if known is JobState.CANCELLED:
            why = state.strip().lower() if " by " in state else "cancelled"
        if known is JobState.FAILED:
            why = f"ended by signal {number}" if number not in ("", "0") else f"exit code {code}"
        if (
            reason not in ("", "None", "Dependency", "Priority", "Resources")
            and known is not JobState.COMPLETED
        ):
            why = f"{why} ({reason})" if why else reason
        for one in expanded(job_id):
            whole = element_token(token, one)
            found[whole] = SchedulerRecord(
                job_id=one,
                token=whole,
                state=known,
                reason=why,
                started=seconds(start),
                ended=seconds(end),
                host=None if nodes in ("", "None assigned") else nodes,
                source="sacct",
                exit_code=int(code) if code.isdigit() else None,
                asked=asked,
            )
    return found


def count_jobs(text: str) -> tuple[int, int]:
    """How many jobs squeue lists in SQUEUE_FORMAT, an array by its elements, and how many of them
    only look (``gates``, ``backlog``)."""
    counts = [
        (len(expanded(line.partition("\x1f")[0])), ".look." in line.split("\x1f")[1])
        for line in text.splitlines()
    ]
    return sum(count for count, _ in counts), sum(count for count, looks in counts if looks)


def most_jobs(associations: str, rules: str, profile: Profile) -> int | None:
    """The least of the limits on how many jobs one user may have that hold for this profile; None:
    there is none.

    ``associations``: lines of account, partition, limit and default QOS from sacctmgr; ``rules``:
    of QOS and limit.
    """
    by_rule = {
        name: int(limit)
        for name, limit in (line.split("|") for line in rules.splitlines())
        if limit
    }
    found = []
    for account, partition, limit, default in (
        line.split("|") for line in associations.splitlines()
    ):
        if profile.account in (None, account) and (not partition or partition == profile.partition):
            found += [int(limit)] if limit else []
            rule = profile.qos or default or "normal"
            found += [by_rule[rule]] if rule in by_rule else []
    return min(found, default=None)
