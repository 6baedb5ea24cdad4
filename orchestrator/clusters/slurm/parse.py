"""Read what Slurm's programs print.

In: text of squeue, sacct, sacctmgr, scontrol and sbatch. Out: scheduler records by token, limits,
what an error means, and what partitions take. Pure. Called by ``SlurmCluster`` (cluster.py) and by
`orch check`.
"""

from __future__ import annotations

import datetime
import re

from msgspec.structs import replace

from orchestrator.clusters.batch import expanded
from orchestrator.description.profile import Profile
from orchestrator.runs.record import JobState
from orchestrator.runs.sources import ACCOUNTING, QUEUE, SchedulerRecord

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

# Id, name, state, reason, start, nodes. Their separator can stand in no job name that a person
# types.
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
    found: dict[str, SchedulerRecord] = {}
    for line in text.splitlines():
        job_id, name, state, reason, start, nodes = line.split("\x1f")
        known = job_state(state)
        pending = known is JobState.PENDING
        # Of a job that waits, squeue shows when it expects to start it.
        time = seconds(start)
        of_line = SchedulerRecord(
            job_id=job_id,
            token=token_in(name),
            state=known,
            reason=reason if pending and reason != "None" else "",
            started=None if pending else time,
            expected_start=time if pending else None,
            host=nodes or None,
            source=QUEUE,
            asked=asked,
        )
        found |= by_element(of_line)
    return found


def token_in(name: str) -> str:
    """The token that a job's name ends in."""
    # "demo.train/lr=0.1,seed=2.a1b2c3d4e5": values of axes hold dots too.
    return name.rpartition(".")[2]


def by_element(of_line: SchedulerRecord) -> dict[str, SchedulerRecord]:
    """A record of each job that a line stands for, by token: itself, or elements of an array."""
    records = {}
    for job_id in expanded(of_line.job_id):
        token = element_token(of_line.token, job_id)
        records[token] = replace(of_line, job_id=job_id, token=token)
    return records


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
        # "1:0" is exit code 1, "0:9" the end by signal 9.
        code, _, signal = exit_code.partition(":")
        of_line = SchedulerRecord(
            job_id=job_id,
            token=token_in(name),
            state=job_state(state),
            reason=why_it_ended(state, code, signal, reason),
            started=seconds(start),
            ended=seconds(end),
            host=None if nodes in ("", "None assigned") else nodes,
            source=ACCOUNTING,
            exit_code=int(code) if code.isdigit() else None,
            asked=asked,
        )
        found |= by_element(of_line)
    return found


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
        why = f"exit code {code}" if signal in ("", "0") else f"ended by signal {signal}"
    says_nothing = reason in ("", "None", "Dependency", "Priority", "Resources")
    if says_nothing or known is JobState.COMPLETED:
        return why
    return f"{why} ({reason})" if why else reason


def count_jobs(text: str) -> tuple[int, int]:
    """How many jobs squeue lists in SQUEUE_FORMAT, an array by its elements, and how many of them
    only look (``gates``, ``backlog``)."""
    everything = looks = 0
    for line in text.splitlines():
        job_id, name = line.split("\x1f")[:2]
        count = len(expanded(job_id))
        everything += count
        if ".look." in name:
            looks += count
    return everything, looks


def most_jobs(associations: str, rules: str, profile: Profile) -> int | None:
    """The least of the limits on how many jobs one user may have that hold for this profile; None:
    there is none.

    Args:
        associations: lines of account, partition, limit and default QOS from sacctmgr.
        rules: lines of QOS and limit.
    """
    by_rule = {}
    for line in rules.splitlines():
        name, limit = line.split("|")
        if limit:
            by_rule[name] = int(limit)
    limits = []
    for line in associations.splitlines():
        account, partition, limit, default = line.split("|")
        its_account = profile.account in (None, account)
        # An association without a partition holds for all of them.
        if not its_account or partition not in ("", profile.partition):
            continue
        if limit:
            limits.append(int(limit))
        # Slurm's own QOS, where nothing names another, is called normal.
        rule = profile.qos or default or "normal"
        if rule in by_rule:
            limits.append(by_rule[rule])
    return min(limits, default=None)


def largest_array(config: str) -> int | None:
    """How many elements one array may have, by ``scontrol show config``; None: it does not say."""
    # MaxArraySize=1001 allows indexes up to 1000, so 1001 elements counted from 0.
    # SchedulerParameters=max_array_tasks=N may allow fewer.
    pattern = r"(?:^MaxArraySize\s*=\s*|max_array_tasks=)(\d+)"
    return min(map(int, re.findall(pattern, config, re.MULTILINE)), default=None)


AMBIGUOUS = re.compile(
    r"socket timed out|temporarily unable|unable to contact|communication|zero bytes|timeout"
    r"|connection (refused|reset|timed out)|unexpected message",
    re.IGNORECASE,
)
LIMITS = re.compile(r"\b(?:QOS|Assoc)\w*Submit\w*Limit\b")
"""What Slurm calls its limits on the number of a user's jobs."""
POLICY = re.compile(r"violates accounting/QOS policy", re.IGNORECASE)
"""What it says when such a limit is reached, and when a request can never be met."""
# "QOSMaxCpuPerUserLimit" beside the policy: a rule, but not on how many jobs there are.
OTHER_RULE = re.compile(r"\b(?:QOS|Assoc)\w+\b")


def perhaps_submitted(said: str) -> bool:
    """Whether the job may be in the queue although sbatch printed this error."""
    return AMBIGUOUS.search(said) is not None


def parent_unknown(said: str) -> bool:
    """Whether sbatch refuses a dependency, as it does from 24.11 on where a parent has been over
    for so long that the controller has forgotten it."""
    return "dependency problem" in said.lower()


def limit_named(said: str) -> str | None:
    """The limit on the number of jobs that sbatch names; "" if it may mean one, or another rule;
    None: it means something else."""
    limit = LIMITS.search(said)
    if limit is not None:
        return limit[0]
    return "" if POLICY.search(said) and not OTHER_RULE.search(said) else None


def parse_partitions(text: str) -> dict[str, dict[str, str]]:
    """Partitions by name, from ``scontrol show partition --oneliner``."""
    found = {}
    for line in text.splitlines():
        # "PartitionName=gpu AllowGroups=ALL ... State=UP MaxTime=1-00:00:00"
        fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "PartitionName" in fields:
            found[fields["PartitionName"]] = fields
    return found


def minutes(text: str) -> int | None:
    """Slurm's ``[days-]hours:minutes:seconds`` in minutes; None for UNLIMITED and the like."""
    # "1-12:00:00" is 2160 minutes; seconds are dropped, as requests are whole minutes.
    match = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):\d+", text)
    if match is None:
        return None
    days, hours, rest = match.groups()
    return (int(days or 0) * 24 + int(hours)) * 60 + int(rest)


def largest_request(partitions: str, nodes: str, partition: str | None) -> dict[str, int]:
    """What a job may ask for at most in a partition, by key of ``Resources``, as far as Slurm says.

    Args:
        partitions: as ``parse_partitions`` reads them.
        nodes: a line ``partition|MB of memory`` per kind of node.
        partition: one, several with commas between, or None: the cluster's default.
    """
    known = parse_partitions(partitions)
    names = (
        partition.split(",")
        if partition
        else [name for name, fields in known.items() if fields.get("Default") == "YES"]
    )
    found = {}
    longest = [minutes(known[name].get("MaxTime", "")) for name in names if name in known]
    # One without a limit takes any time.
    if longest and None not in longest:
        found["minutes"] = max(most for most in longest if most is not None)
    sizes = [line.split("|") for line in nodes.splitlines() if "|" in line]
    # "257000+": Slurm's way to say that nodes differ.
    memory = [int(mb.rstrip("+")) // 1024 for name, mb in sizes if name in names]
    if memory:
        found["memory_gb"] = max(memory)
    return found
