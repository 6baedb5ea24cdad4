"""The process behind the queue of the cluster `local`: it starts jobs that fit, holds them to their
time limits and notes their ends.

``orchestrator/clusters/local/cluster.py`` is what orch sees of it. Jobs run in sessions of their
own through ``orchestrator.node``. When the scheduler is killed they go on, and the next one adopts
them by process id and start time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from jobs.spec import Resources
from orchestrator.clusters.local.slots import entry, fits, ledger, this_machine
from orchestrator.node.system import process_fields, process_start, write_json
from orchestrator.runs.record import ACTIVE, FINAL, JobState
from orchestrator.runs.run import Run, wanted_by

WARNING_SECONDS = 120.0
"""SIGUSR2 comes this long before the time limit, or after half of a shorter one."""
KILL_SECONDS = 30.0
"""From SIGTERM to SIGKILL, as Slurm's KillWait."""


def read_table(folder: Path) -> dict[str, dict[str, Any]]:
    """What the scheduler wrote last of each job, by token."""
    path = folder / "table.json"
    found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    return found


class Scheduler:
    """The process behind the queue."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.folder = run.folder / "scheduler"
        self.machine = this_machine()
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.table = read_table(self.folder)
        self.changed = False
        self.looker: subprocess.Popen[bytes] | None = None
        self.look_wanted = False
        self.looks = (
            bool(self.run.plan.gates or wanted_by(self.run))
            or self.run.profile.max_jobs is not None
        )

    def set(self, token: str, **values: Any) -> None:
        """Change a row; the table is written once per round."""
        self.table[token].update(values)
        self.changed = True
        self.look_wanted |= self.looks and JobState(self.table[token]["state"]) in FINAL

    def round(self) -> bool:
        """One look at everything. Returns whether work is left."""
        for path in sorted(
            (self.folder / "queue").glob("*.json"), key=lambda path: path.stat().st_mtime
        ):
            if path.stem not in self.table and not path.name.startswith("."):
                self.table[path.stem] = {
                    **json.loads(path.read_text()),
                    "state": "PENDING",
                    "reason": "",
                }
                self.changed = True
        self.take_cancels()
        for token, row in list(self.table.items()):
            if row["state"] == "RUNNING":
                self.watch(token, row)
        for token, row in list(self.table.items()):
            if row["state"] == "PENDING":
                self.start_if_possible(token, row)
        if self.changed:
            write_json(self.folder / "table.json", self.table)
            self.changed = False
        return self.look() or any(JobState(row["state"]) in ACTIVE for row in self.table.values())

    def look(self) -> bool:
        """Let `orch advance` look at gates and backlog once a job has ended, as a process of its
        own; returns whether one is at it."""
        if self.looker is not None and self.looker.poll() is not None:
            self.looker = None
        if self.looker is None and self.look_wanted:
            self.look_wanted = False
            command = [
                sys.executable,
                "-P",
                "-m",
                "orchestrator.cli",
                "advance",
                str(self.run.folder),
            ]
            self.looker = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=self.run.folder)
        return self.looker is not None

    def take_cancels(self) -> None:
        """End the jobs that orch asked to end."""
        by_id = {row["job_id"]: token for token, row in self.table.items()}
        for path in (self.folder / "cancel").glob("L-*"):
            token = by_id.get(path.name)
            row = self.table[token] if token else None
            if token and row and row["state"] == "PENDING":
                self.set(token, state="CANCELLED", reason="cancelled", ended=time.time())
            elif token and row and row["state"] == "RUNNING" and not row.get("ending"):
                self.set(
                    token, ending="CANCELLED", reason="cancelled", killed=time.time() + KILL_SECONDS
                )
                send(row, signal.SIGTERM)
            write_json(self.folder / "table.json", self.table)
            path.unlink()

    def watch(self, token: str, row: dict[str, Any]) -> None:
        """Notice the end of a running job, and hold it to its time limit."""
        now = time.time()
        child = self.children.get(token)
        if (child is not None and child.poll() is not None) or process_start(row["pid"]) != row[
            "start"
        ]:
            self.end(token, row)
            return
        limit = row["resources"]["minutes"] * 60
        if not row.get("warned") and now > row["started"] + limit - min(WARNING_SECONDS, limit / 2):
            self.set(token, warned=True)
            send(row, signal.SIGUSR2)
        if not row.get("ending") and now > row["started"] + limit:
            self.set(
                token, ending="TIMEOUT", reason="time limit reached", killed=now + KILL_SECONDS
            )
            send(row, signal.SIGTERM)
        if row.get("ending") and now > row["killed"]:
            with suppress(ProcessLookupError):
                os.killpg(row["pid"], signal.SIGKILL)

    def end(self, token: str, row: dict[str, Any]) -> None:
        """Note how a job ended: by its exit record, and without one by what is known of its
        process."""
        self.children.pop(token, None)
        if "exits" in row:
            self.end_pack(token, row)
            return
        path = Path(row["exit"])
        claim = path.with_name("claim.json")
        if claim.exists() and not path.exists():
            held = json.loads(claim.read_text())
            if held["pid"] != row["pid"] and held["start"] == process_start(held["pid"]):
                # A scheduler that was killed had started the job and not noted it; ours ended
                # without work. That one is the job.
                self.set(token, pid=held["pid"], start=held["start"], started=held["started"])
                return
        left = json.loads(path.read_text()) if path.exists() else None
        if left is not None and left["restart"] != json.loads(claim.read_text())["restart"]:
            left = None  # of before a requeue; the time after it left none
        if left is not None and left["requeued"] and not row.get("ending"):
            self.set(token, state="PENDING", reason="requeued at its time limit", warned=False)
            return
        if (path.parent.parent / "out" / "results.json").exists():
            self.set(
                token,
                state="COMPLETED",
                reason="",
                ended=left["ended"] if left else time.time(),
                exit_code=0,
            )
        elif row.get("ending"):
            self.set(token, state=row["ending"], ended=time.time())
        else:
            reason = (
                ""
                if left
                else "its process ended without an exit record (killed from outside, or out "
                "of memory)"
            )
            self.set(
                token,
                state="FAILED",
                reason=reason,
                ended=time.time(),
                exit_code=left["exit_code"] if left else None,
            )

    def end_pack(self, token: str, row: dict[str, Any]) -> None:
        """Note how a pack ended; how each of its members did is in their own exit records."""
        left = [left_by(Path(path)) for path in row["exits"]]
        for path in [
            Path(path) for path, record in zip(row["exits"], left, strict=True) if record is None
        ]:
            parent = pack_of(path.with_name("claim.json"), str(Path(row["script"]).parent))
            if (
                parent is not None
                # a scheduler that was killed had started this pack and not noted it; that one is
                # the job
            ):
                self.set(token, pid=parent, start=process_start(parent))
                return
        if row.get("ending"):
            self.set(token, state=row["ending"], ended=time.time())
        elif any(record is not None and record["requeued"] for record in left):
            self.set(token, state="PENDING", reason="requeued at its time limit", warned=False)
        elif None in left:
            self.set(
                token,
                state="FAILED",
                reason="its process ended without an exit record (killed from outside, or out "
                "of memory)",
                ended=time.time(),
            )
        else:
            self.set(token, state="COMPLETED", reason="", ended=time.time(), exit_code=0)

    def start_if_possible(self, token: str, row: dict[str, Any]) -> None:
        """Start a job whose parents are done and that fits; cancel one whose parent failed, as
        kill-on-invalid-dep does."""
        parents = [other for other in self.table.values() if other["job_id"] in row["after"]]
        fallen = [
            p["name"]
            for p in parents
            if JobState(p["state"]) in FINAL and p["state"] != "COMPLETED"
        ]
        if fallen:
            self.set(
                token,
                state="CANCELLED",
                reason=f"needs {fallen[0]}, which did not complete",
                ended=time.time(),
            )
            return
        ended = [other for other in self.table.values() if other["job_id"] in row.get("ended", ())]
        if any(p["state"] != "COMPLETED" for p in parents) or any(
            JobState(p["state"]) not in FINAL for p in ended
        ):
            if row["reason"] != "Dependency":
                self.set(token, reason="Dependency")
            return
        if (self.folder / "hold" / row["job_id"]).exists():
            if row["reason"] != "held":
                self.set(token, reason="held")
            return
        resources = Resources(**row["resources"])
        with ledger() as entries:
            gpus = fits(self.machine, resources, entries)
            if gpus is not None:
                child = self.start(row, gpus)
                entries.append(entry(child.pid, resources, gpus))
        if gpus is None:
            if row["reason"] != "Resources":
                self.set(token, reason="Resources")
            return
        self.children[token] = child
        self.set(
            token,
            state="RUNNING",
            reason="",
            pid=child.pid,
            start=process_start(child.pid),
            started=time.time(),
        )
        write_json(
            self.folder / "table.json", self.table
        )  # at once: whoever comes after a kill must know the process

    def start(self, row: dict[str, Any], gpus: list[str]) -> subprocess.Popen[bytes]:
        """Start one job in a session of its own."""
        environment = {
            **os.environ,
            "ORCH_JOB_ID": row["job_id"],
            "CUDA_VISIBLE_DEVICES": ",".join(gpus),
        }
        with Path(row["log"]).open("ab") as log:
            return subprocess.Popen(
                ["/bin/bash", row["script"]],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=row["cwd"],
                env=environment,
            )


def left_by(path: Path) -> dict[str, Any] | None:
    """The exit record of a member of a pack; None if it left none the last time it was started."""
    claim = path.with_name("claim.json")
    if not path.exists() or not claim.exists():
        return None
    left: dict[str, Any] = json.loads(path.read_text())
    return left if left.get("restart", 0) == json.loads(claim.read_text())["restart"] else None


def pack_of(claim: Path, folder: str) -> int | None:
    """The process that works on the pack in ``folder`` and has a living member with this claim."""
    if not claim.exists():
        return None
    held = json.loads(claim.read_text())
    fields = process_fields(held["pid"]) if held["start"] == process_start(held["pid"]) else None
    if fields is None:
        return None
    try:
        words = Path(f"/proc/{fields[1]}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[1]) if folder in words else None


def send(row: dict[str, Any], number: signal.Signals) -> None:
    """Signal a job's node process, which passes it on; it may be gone already."""
    if process_start(row["pid"]) == row["start"]:
        with suppress(ProcessLookupError):
            os.kill(row["pid"], number)
