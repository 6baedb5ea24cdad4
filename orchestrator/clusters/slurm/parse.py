"""Read what Slurm's programs print.

In: rows of squeue and sacct (rows.py), and the text of sacctmgr, scontrol, sinfo and sbatch. Out:
scheduler records by token, limits, what an error means, and what partitions take. Pure. Called by
``SlurmCluster`` (cluster.py) and by `orch check`.

What cannot be ours is passed over: other jobs of the user may be called anything, and other
programs may print lines of their own.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from orchestrator.clusters.batch import expanded
from orchestrator.clusters.slurm.ends import job_state, known_code, why_it_ended
from orchestrator.clusters.slurm.rows import Table, readable
from orchestrator.description.profile import Profile
from orchestrator.runs.record import JobState
from orchestrator.runs.sources import ACCOUNTING, SchedulerRecord
from orchestrator.runs.sources import QUEUE as QUEUE_SOURCE

UNIT = "\x1f"
QUEUE = Table(
    program="squeue",
    # All: else jobs in partitions that are hidden are left out, also the user's own.
    options=("--me", "--all"),
    # Id, name, state, reason, start, nodes.
    columns=("%i", "%j", "%T", "%r", "%S", "%N"),
    separator=UNIT,
)
SACCT_STATES = "CA,CD,F,TO,OOM,NF,PR,BF,DL,RV,PD,R,S,RQ"
"""Naming the states, and an end, makes sacct show jobs too that were cancelled before they could
ever have started."""
EARLIER_SECONDS = 86_400
"""How much earlier than the first submission accounting is asked: the clocks of this machine and of
Slurm's may differ."""
YEAR_SECONDS = 366 * 86_400
"""Slurm thinks of jobs without a time limit as of ones that take a year; what it expects behind
them is no estimate."""
TOKEN = re.compile(r"[0-9a-f]{10}")
"""What the name of each of our jobs ends in, behind a dot (``Run.token``)."""


ACCOUNTING_COLUMNS = ("JobID", "JobName", "State", "ExitCode", "Start", "End", "NodeList", "Reason")


def accounting(since: float) -> Table:
    """The question for all jobs of the user since then."""
    start = datetime.datetime.fromtimestamp(since - EARLIER_SECONDS, datetime.UTC)
    return Table(
        program="sacct",
        options=(
            "--allocations",
            # Where an id was given out again, newer versions tell of the older job only so.
            "--duplicates",
            f"--starttime={start:%Y-%m-%dT%H:%M:%S}",
            "--endtime=now+1day",
            f"--state={SACCT_STATES}",
        ),
        columns=ACCOUNTING_COLUMNS,
        separator="|",
        # Of a job that was requeued there is a row for each start, with a time of its own.
        by="Submit",
    )


def seconds(text: str) -> float | None:
    """Slurm's time stamp, which it was asked for in UTC, as Unix seconds; None for Unknown, None
    and N/A."""
    try:
        return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp()
    except ValueError:
        return None


def rows_of_ours(text: str) -> Iterator[list[str]]:
    """The cells of those rows of ``QUEUE`` that may be ours."""
    for line in text.splitlines():
        cells = line.split(UNIT)
        # Of a federation's jobs the other clusters show a copy, which is none of what runs here.
        if len(cells) == len(QUEUE.columns) and is_ours(cells[1]) and cells[2] != "REVOKED":
            yield cells


def parse_squeue(text: str, asked: float | None = None) -> dict[str, SchedulerRecord]:
    """Jobs by token from rows of ``QUEUE``. A job that is waiting shows why.

    Elements of an array that are alike share a line (``123_[4-9,12%3]``). ValueError if what a line
    of ours stands for cannot be read whole.
    """
    found: dict[str, SchedulerRecord] = {}
    for job_id, name, state, reason, start, nodes in rows_of_ours(text):
        known = job_state(state)
        pending = known is JobState.PENDING
        # Of a job that waits, squeue shows when it expects to start it.
        time = seconds(start)
        of_line = SchedulerRecord(
            job_id=job_id,
            token=token_in(name),
            state=known,
            reason=telling(reason) if pending else "",
            started=None if pending else time,
            expected_start=estimate(time, asked) if pending else None,
            host=nodes or None,
            source=QUEUE_SOURCE,
            asked=asked,
        )
        found |= by_element(of_line)
    return found


def ids_by_token(text: str) -> dict[str, set[str]]:
    """Every id that rows of ``QUEUE`` show under a token of ours: more than one where a submission
    was made twice."""
    found: dict[str, set[str]] = {}
    for line_id, name, *_ in rows_of_ours(text):
        for job_id in expanded(line_id):
            found.setdefault(element_token(token_in(name), job_id), set()).add(job_id)
    return found


def telling(reason: str) -> str:
    """What a reason says; of a list, which the line of an array may have, the first that says
    something."""
    # "JobArrayTaskLimit,None"; but "ReqNodeNotAvail, UnavailableNodes:a100-[1,3]" is one reason.
    words = reason.split(",")
    if all(re.fullmatch(r"\w*", word) for word in words):
        reason = next((word for word in words if word not in ("", "None")), "")
    return "" if reason == "None" else reason


def estimate(time: float | None, asked: float | None) -> float | None:
    """When a job is expected to start; None where that is beyond all planning."""
    now = datetime.datetime.now(datetime.UTC).timestamp() if asked is None else asked
    return None if time is None or time > now + YEAR_SECONDS else time


def is_ours(name: str) -> bool:
    """Whether a job of this name may be ours."""
    _, dot, last = name.rpartition(".")
    return bool(dot) and TOKEN.fullmatch(last) is not None


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
    """Jobs by token from rows of ``accounting``. Of several rows with one token the last submitted
    counts."""
    found: dict[str, SchedulerRecord] = {}
    for line in text.splitlines():
        fields = line.split("|")
        # A job name may hold the delimiter; nothing else in the line can.
        job_id, name, rest = fields[0], "|".join(fields[1:-6]), fields[-6:]
        if len(fields) < len(ACCOUNTING_COLUMNS) or not is_ours(name):
            continue
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
            exit_code=known_code(state, code, signal),
            asked=asked,
        )
        found |= by_element(of_line)
    return found


def count_jobs(text: str) -> tuple[int, int]:
    """How many jobs rows of ``QUEUE`` list, an array by its elements, and how many of them only
    look (``gates``, ``backlog``)."""
    everything = looks = 0
    for line in text.splitlines():
        job_id, *more = line.split(UNIT)
        try:
            count = len(expanded(job_id))
        except ValueError:
            count = 1  # a stranger's array that is not listed whole
        everything += count
        if more and ".look." in more[0] and is_ours(more[0]):
            looks += count
    return everything, looks


ASSOCIATION = re.compile(r"([^|]*)\|([^|]*)\|(\d*)\|([^|]*)")
RULE = re.compile(r"([^|]+)\|(\d*)")


def most_jobs(associations: str, rules: str, profile: Profile) -> int | None:
    """The least of the limits on how many jobs one user may have that hold for this profile; None:
    there is none. ValueError if they cannot be read.

    Args:
        associations: lines of account, partition, limit and default QOS from sacctmgr.
        rules: lines of QOS and limit.
    """
    by_rule = {
        name.lower(): int(limit)
        for name, limit in (line.groups() for line in readable(rules, RULE))
        if limit
    }
    account_of_profile, partitions = profile.account, partition_names(profile.partition)
    limits = []
    for line in readable(associations, ASSOCIATION):
        account, partition, limit, default = line.groups()
        # Slurm's accounts and QOS are lower case, and it takes them in any.
        its_account = account_of_profile is None or account_of_profile.lower() == account.lower()
        # An association without a partition holds for all of them.
        if not its_account or (partition and partition not in partitions):
            continue
        if limit:
            limits.append(int(limit))
        # Slurm's own QOS, where nothing names another, is called normal.
        rule = (profile.qos or default or "normal").lower()
        if rule in by_rule:
            limits.append(by_rule[rule])
    return min(limits, default=None)


def partition_names(partition: str | None) -> list[str]:
    """The partitions of a list with commas between; whichever of them starts a job first."""
    return [name.strip() for name in (partition or "").split(",") if name.strip()]


def of_cluster(associations: str, name: Callable[[], str | None]) -> str:
    """Associations without their first column, the cluster; of several clusters those of one.

    Args:
        name: asked only where there are several; None: it is not known, and all count.
    """
    rows = [line.partition("|") for line in associations.splitlines() if "|" in line]
    if not rows:
        return associations
    clusters = {cluster.lower() for cluster, _, _ in rows}
    wanted = name() if len(clusters) > 1 else None
    return "\n".join(
        rest for cluster, _, rest in rows if wanted is None or cluster.lower() == wanted.lower()
    )


def cluster_name(config: str) -> str | None:
    """What this cluster is called, by ``scontrol show config``."""
    match = re.search(r"^ClusterName\s*=\s*(\S+)", config, re.MULTILINE)
    return None if match is None else match[1]


def largest_array(config: str) -> int | None:
    """How many elements one array may have, by ``scontrol show config``; None: it does not say."""
    # MaxArraySize=1001 allows indexes up to 1000, so 1001 elements counted from 0.
    # SchedulerParameters=max_array_tasks=N may allow fewer.
    pattern = r"(?:^MaxArraySize\s*=\s*|max_array_tasks=)(\d+)"
    return min(map(int, re.findall(pattern, config, re.MULTILINE)), default=None)


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
    names = partition_names(partition) or [
        name for name, fields in known.items() if fields.get("Default") == "YES"
    ]
    found = {}
    longest = [minutes(known[name].get("MaxTime", "")) for name in names if name in known]
    # One without a limit takes any time.
    if longest and None not in longest:
        found["minutes"] = max(most for most in longest if most is not None)
    # "257000+": Slurm's way to say that nodes differ.
    sizes = [line.groups() for line in readable(nodes, SIZE)]
    memory = [int(mb) // 1024 for name, mb in sizes if name in names]
    if memory:
        found["memory_gb"] = max(memory)
    return found


SIZE = re.compile(r"([^|]+)\|(\d+)\+?")
