"""What the scheduler of this machine has noted of a run's jobs, a row each.

In: a run. Out: rows by token, from ``scheduler/table.json``; where that is gone or damaged, from
what was put into the queue, from the claims of the jobs, and from the run's own state. Called by
the scheduler when it starts, and by ``LocalCluster`` at each look.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import msgspec

from orchestrator.errors import RunError
from orchestrator.node.cost import LATEST
from orchestrator.node.system import lives, write_text
from orchestrator.runs.documents.damage import note
from orchestrator.runs.documents.reading import Code, Count, Moment, Place, document, mapping
from orchestrator.runs.record import ACTIVE, FINAL, JobState
from orchestrator.runs.run import Run

Row = dict[str, Any]
"""What is known of a job: what ``LocalCluster.submit`` wrote, and how it stands."""
REMEDY = "its job counts as failed; orch retry submits it again"
TICKS = "[0-9]{1,18}"
LOST = "what the scheduler of this machine had noted of it is lost: orch retry"


class Asked(TypedDict):
    """What a job asks of this machine."""

    gpus: Count
    cpus: Count
    memory_gb: Count
    minutes: Count


class Queued(TypedDict):
    """What ``queue/<token>.json`` must have."""

    job_id: str
    token: str
    name: str
    script: Place
    log: Place
    cwd: Place
    after: list[str]
    resources: Asked
    exit: NotRequired[Place]
    exits: NotRequired[list[Place]]
    ended: NotRequired[list[str]]


class Known(TypedDict):
    """What every row must have."""

    job_id: str
    state: Literal["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"]
    """The scheduler has no others: a job in another one would be looked after by nobody."""
    reason: NotRequired[str]
    started: NotRequired[Moment | None]
    exit_code: NotRequired[Code | None]


class Ended(Known):
    """What the row of a job that is over may have besides."""

    ended: NotRequired[Moment | None]


class Waits(Queued):
    """What the row of a job that waits must have."""

    reason: str


class Running(Queued):
    """What the row of a job that has started must have."""

    pid: Count
    start: str | None
    started: Moment
    ending: NotRequired[Literal["TIMEOUT", "CANCELLED"]]
    kill_at: NotRequired[Moment]


class Claimed(TypedDict):
    """What a claim says of the process that has it."""

    pid: Count
    start: str | None
    started: Moment


def read_table(run: Run) -> dict[str, Row]:
    """The rows by token."""
    path = run.folder / "scheduler" / "table.json"
    rows = mapping(path, "made anew from the queue, claims and exit records", dict[str, object])
    if rows is None:
        return rebuilt(run)
    return {token: row if is_whole(row) else row_anew(run, token) for token, row in rows.items()}


def is_whole(row: Any) -> bool:
    """Whether a row has what a job of its state needs."""
    try:
        state = msgspec.convert(row, Known)["state"]
        if state in FINAL:
            msgspec.convert(row, Ended)
        else:
            msgspec.convert(row, Running if state == JobState.RUNNING else Waits)
    except msgspec.ValidationError:
        return False
    # A pack has ``exits``.
    return state in FINAL or "exit" in row or "exits" in row


def row_anew(run: Run, token: str) -> Row:
    """A row that cannot be read, from the queue and the claim; the other rows stay."""
    note(
        f"{run.folder / 'scheduler' / 'table.json'}: {token}",
        "is damaged",
        "made anew from the queue, claim and exit record",
    )
    row = with_claim(queued_row(run.folder / "scheduler" / "queue" / f"{token}.json"))
    wanted = row["state"] != JobState.PENDING or token in active_tokens(run)
    # One that was cancelled before it started must not start now.
    return row if wanted else row | {"state": "CANCELLED", "reason": LOST, "ended": time.time()}


def rebuilt(run: Run) -> dict[str, Row]:
    """The rows of all jobs that were put into the queue. One that has started counts as running:
    the scheduler looks at its process and its exit record next."""
    rows = {}
    folder = run.folder / "scheduler" / "queue"
    for token in queued_tokens(folder):
        rows[token] = with_claim(queued_row(folder / f"{token}.json"))
    waiting = [token for token, row in rows.items() if row["state"] == JobState.PENDING]
    wanted = active_tokens(run) if waiting else set()
    for token in waiting:
        # One that was cancelled before it started must not start now.
        if token not in wanted:
            rows[token] |= {"state": "CANCELLED", "reason": LOST, "ended": time.time()}
    return rows


class WrittenTable:
    """The table as a file, a job per line. Lines are kept until their row changes: of thousands of
    jobs one starts or ends in every round."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[str, str] = {}

    def changed(self, token: str) -> None:
        """A row is not what was written."""
        self.lines.pop(token, None)

    def write(self, table: Mapping[str, Row]) -> None:
        """Write it, by rename."""
        for token, row in table.items():
            if token not in self.lines:
                self.lines[token] = f"{json.dumps(token)}: {json.dumps(row)}"
        rows = ",\n".join(self.lines[token] for token in table)
        write_text(self.path, f"{{\n{rows}\n}}\n")


def names_in(folder: Path) -> list[str]:
    """The names in a folder; none if it is not there."""
    try:
        return os.listdir(folder)  # noqa: PTH208  # thousands of jobs, five times a second
    except (FileNotFoundError, NotADirectoryError):
        return []


def queued_tokens(folder: Path) -> list[str]:
    """The tokens of the jobs that were put into the queue."""
    # A name that begins with a dot is a draft of write_json's.
    names = [name for name in names_in(folder) if name.endswith(".json") and name[0] != "."]
    return [name.removesuffix(".json") for name in names]


def queued_row(path: Path) -> Row:
    """The row of a job as it was put into the queue; where that is damaged, of one that died."""
    row = mapping(path, REMEDY, Queued)
    if not path.exists():
        note(path, "is gone", REMEDY)
    if row is not None:
        return {**row, "state": "PENDING", "reason": ""}
    return {
        "job_id": f"L-{path.stem}",
        "name": path.stem,
        "after": [],
        "state": "FAILED",
        "reason": f"{path} cannot be read: orch retry submits it again",
        "ended": time.time(),
    }


def with_claim(row: Row) -> Row:
    """A row with the process that has its claim; as it is if nothing has started."""
    if row["state"] != JobState.PENDING:
        return row
    exits = [Path(path) for path in row.get("exits", [row.get("exit", "")])]
    claims = [document(path.with_name("claim.json"), Claimed, "left out") for path in exits]
    known = [claim for claim in claims if claim is not None]
    if not known:
        return row
    # Of a pack any member that lives; the scheduler finds the pack by it.
    newest = next((claim for claim in known if lives(claim)), known[-1])
    return {**row, **newest, "state": "RUNNING"}


def began(row: Row) -> float:
    """When a running job began, in seconds of ``time.monotonic``: the wall clock may jump by days,
    as when a virtual machine is restored, and that is no time of the job's. Where nobody has noted
    it (older versions, a claim) the start of its process tells, which counts from the boot."""
    noted = row.get("began")
    if isinstance(noted, int | float) and 0 <= noted < LATEST:
        return float(noted)
    ticks, _, _ = str(row["start"]).partition("@")
    now = time.monotonic()
    if not re.fullmatch(TICKS, ticks):
        return now
    since_boot = int(ticks) / os.sysconf("SC_CLK_TCK")
    return now - max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot)


def active_tokens(run: Run) -> set[str]:
    """The allocations that the run's state file has as queued or running; none if it cannot be
    read."""
    try:
        return {record.allocation for record in run.load() if record.state in ACTIVE}
    except RunError:
        return set()
