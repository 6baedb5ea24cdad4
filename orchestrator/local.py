"""The cluster `local`: a queue on this machine with Slurm's states, dependencies and time limits, and slots for what it has.

    python -P -m orchestrator.local RUN_FOLDER

The scheduler is a process of its own session: it goes on when the terminal closes and ends with the run. Everything it knows lies in
``<run>/scheduler/``: ``queue/<token>.json`` (what was submitted), ``table.json`` (the state of each job), ``cancel/<id>``. Jobs run in
sessions of their own through ``orchestrator.node``. When the scheduler is killed they go on, and the scheduler that the next orch
command starts adopts them by process id and start time.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from jobs.spec import Job, Resources
from orchestrator.arrays import Batch, Waits
from orchestrator.errors import SubmitError
from orchestrator.node import process_start, write_json
from orchestrator.run import Run, open_run
from orchestrator.slots import entry, fits, ledger, this_machine
from orchestrator.state import ACTIVE, FINAL, Answer, JobState, Record, Seen

POLL_SECONDS = 0.2
WARNING_SECONDS = 120.0
"""SIGUSR2 comes this long before the time limit, or after half of a shorter one."""
KILL_SECONDS = 30.0
"""From SIGTERM to SIGKILL, as Slurm's KillWait."""
START_SECONDS = 20.0
"""Longest wait for a scheduler to take its lock."""


class LocalCluster:
    """What orch sees of the scheduler of one run: files."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.folder = run.folder / "scheduler"
        self.trouble = ""

    def array_size(self) -> int:
        """No arrays: a job here is a file."""
        return 1

    def script(self, batch: Batch, waits: Waits) -> str:
        """The command that the scheduler starts, as a script to read."""
        (job,), (record,) = batch.jobs, batch.records
        after = f"# after {' '.join(waits.all)}\n" if waits.all else ""
        limits = f"# {job.resources.cpus} CPUs, {job.resources.memory_gb} GB, {job.resources.gpus} GPUs, {job.resources.minutes} minutes\n"
        exports = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in self.environment(job).items())
        profile = self.run.profile
        setup = "".join(f"{line}\n" for line in [*profile.exports(), *(["set -e", *profile.setup] if profile.setup else [])])
        command = self.run.node_command(job, record)
        return f"#!/bin/bash\n{limits}{after}{exports}{setup}exec {shlex.join(command)}\n"

    def environment(self, job: Job) -> dict[str, str]:
        """What the job's environment has beside orch's own."""
        return {"PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": str(job.resources.cpus)}

    def submit(self, batch: Batch, waits: Waits) -> str:
        """Put the job in the queue and see that a scheduler runs. SubmitError if it can never run here."""
        (job,), (record,) = batch.jobs, batch.records
        refusal = this_machine().refusal(job.resources)
        if refusal:
            raise SubmitError(f"{job.name} {refusal}")
        script = self.run.attempt_folder(record) / "script.sh"
        script.write_text(self.script(batch, waits))
        (self.folder / "queue").mkdir(parents=True, exist_ok=True)
        (self.folder / "cancel").mkdir(exist_ok=True)
        job_id = f"L-{record.token}"
        write_json(self.folder / "queue" / f"{record.token}.json", {
            "job_id": job_id, "token": record.token, "name": job.name, "script": str(script), "log": str(self.run.log(record)),
            "exit": str(self.run.attempt_folder(record) / "exit.json"), "after": list(waits.all), "submitted": time.time(),
            "cwd": self.run.cwd, "resources": {key: getattr(job.resources, key) for key in ("gpus", "cpus", "memory_gb", "minutes")}})
        self.wake()
        return job_id

    def table(self) -> dict[str, dict[str, Any]]:
        """States by token, as the scheduler wrote them last, and queued jobs it has not seen yet."""
        path = self.folder / "table.json"
        table: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
        for queued in (self.folder / "queue").glob("*.json"):
            if not queued.name.startswith("."):
                table.setdefault(queued.stem, {"job_id": f"L-{queued.stem}", "state": "PENDING"})
        return table

    def wake(self) -> None:
        """Start a scheduler if none is alive; returns when one has the lock."""
        deadline = time.monotonic() + START_SECONDS
        process: subprocess.Popen[bytes] | None = None
        while not alive(self.folder):
            if process is None or process.poll() is not None:
                if time.monotonic() > deadline:
                    raise SubmitError(f"the local scheduler does not start; see {self.folder / 'log.txt'}")
                with (self.folder / "log.txt").open("ab") as log:
                    process = subprocess.Popen([sys.executable, "-P", "-m", "orchestrator.local", str(self.run.folder)], stdout=log,
                                               stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, cwd=self.run.folder)
            time.sleep(0.02)

    def ask(self, wanted: frozenset[JobState]) -> Answer:
        """Jobs in one of these states, by token. A scheduler that was killed with work left is started again here."""
        table = self.table()
        if any(JobState(row["state"]) in ACTIVE for row in table.values()) and not alive(self.folder):
            self.wake()
            table = self.table()
        return {token: Seen(job_id=row["job_id"], token=token, state=JobState(row["state"]), reason=row.get("reason", ""),
                            started=row.get("started"), ended=row.get("ended"), exit_code=row.get("exit_code"))
                for token, row in table.items() if JobState(row["state"]) in wanted}

    def ask_active(self) -> Answer:
        """Queued and running jobs."""
        return self.ask(ACTIVE)

    def ask_final(self, since: float) -> Answer:  # noqa: ARG002  # the table holds the run's own jobs only, all of them
        """Ended jobs."""
        return self.ask(FINAL)

    def hold(self, job_ids: Sequence[str], release: bool = False) -> bool:
        """Keep waiting jobs from starting, or let them go."""
        (self.folder / "hold").mkdir(exist_ok=True)
        for job_id in job_ids:
            (self.folder / "hold" / job_id).unlink(missing_ok=True) if release else (self.folder / "hold" / job_id).touch()
        return True

    def look_after(self, records: Sequence[Record]) -> None:
        """The scheduler of this machine looks at the gates whenever a job has ended."""

    def cancel(self, job_ids: Sequence[str]) -> None:
        """Ask the scheduler to end these jobs, and wait until it has taken note."""
        for job_id in job_ids:
            (self.folder / "cancel" / job_id).touch()
        self.wake()
        deadline = time.monotonic() + KILL_SECONDS + 10
        while any((self.folder / "cancel" / job_id).exists() for job_id in job_ids):
            if time.monotonic() > deadline:
                raise SubmitError(f"the local scheduler has not taken note of the cancel; see {self.folder / 'log.txt'}")
            time.sleep(0.05)


def alive(folder: Path) -> bool:
    """Whether a scheduler has the lock."""
    path = folder / "scheduler.lock"
    if not path.exists():
        return False
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class Scheduler:
    """The process behind the queue."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.folder = run.folder / "scheduler"
        self.machine = this_machine()
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        path = self.folder / "table.json"
        self.table: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
        self.changed = False
        self.looker: subprocess.Popen[bytes] | None = None
        self.look_wanted = False

    def set(self, token: str, **values: Any) -> None:
        """Change a row; the table is written once per round."""
        self.table[token].update(values)
        self.changed = True
        self.look_wanted |= bool(self.run.plan.gates) and JobState(self.table[token]["state"]) in FINAL

    def round(self) -> bool:
        """One look at everything. Returns whether work is left."""
        for path in sorted((self.folder / "queue").glob("*.json"), key=lambda path: path.stat().st_mtime):
            if path.stem not in self.table and not path.name.startswith("."):
                self.table[path.stem] = {**json.loads(path.read_text()), "state": "PENDING", "reason": ""}
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
        """Let `orch advance` look at the gates once a job has ended, as a process of its own; returns whether one is at it."""
        if self.looker is not None and self.looker.poll() is not None:
            self.looker = None
        if self.looker is None and self.look_wanted:
            self.look_wanted = False
            command = [sys.executable, "-P", "-m", "orchestrator.cli", "advance", str(self.run.folder)]
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
                self.set(token, ending="CANCELLED", reason="cancelled", killed=time.time() + KILL_SECONDS)
                send(row, signal.SIGTERM)
            write_json(self.folder / "table.json", self.table)
            path.unlink()

    def watch(self, token: str, row: dict[str, Any]) -> None:
        """Notice the end of a running job, and hold it to its time limit."""
        now = time.time()
        child = self.children.get(token)
        if (child is not None and child.poll() is not None) or process_start(row["pid"]) != row["start"]:
            self.end(token, row)
            return
        limit = row["resources"]["minutes"] * 60
        if not row.get("warned") and now > row["started"] + limit - min(WARNING_SECONDS, limit / 2):
            self.set(token, warned=True)
            send(row, signal.SIGUSR2)
        if not row.get("ending") and now > row["started"] + limit:
            self.set(token, ending="TIMEOUT", reason="time limit reached", killed=now + KILL_SECONDS)
            send(row, signal.SIGTERM)
        if row.get("ending") and now > row["killed"]:
            with suppress(ProcessLookupError):
                os.killpg(row["pid"], signal.SIGKILL)

    def end(self, token: str, row: dict[str, Any]) -> None:
        """Note how a job ended: by its exit record, and without one by what is known of its process."""
        self.children.pop(token, None)
        path = Path(row["exit"])
        claim = path.with_name("claim.json")
        if claim.exists() and not path.exists():
            held = json.loads(claim.read_text())
            if held["pid"] != row["pid"] and held["start"] == process_start(held["pid"]):
                # A scheduler that was killed had started the job and not noted it; ours ended without work. That one is the job.
                self.set(token, pid=held["pid"], start=held["start"], started=held["started"])
                return
        left = json.loads(path.read_text()) if path.exists() else None
        if left is not None and left["restart"] != json.loads(claim.read_text())["restart"]:
            left = None  # of before a requeue; the time after it left none
        if left is not None and left["requeued"] and not row.get("ending"):
            self.set(token, state="PENDING", reason="requeued at its time limit", warned=False)
            return
        if (path.parent.parent / "out" / "results.json").exists():
            self.set(token, state="COMPLETED", reason="", ended=left["ended"] if left else time.time(), exit_code=0)
        elif row.get("ending"):
            self.set(token, state=row["ending"], ended=time.time())
        else:
            reason = "" if left else "its process ended without an exit record (killed from outside, or out of memory)"
            self.set(token, state="FAILED", reason=reason, ended=time.time(), exit_code=left["exit_code"] if left else None)

    def start_if_possible(self, token: str, row: dict[str, Any]) -> None:
        """Start a job whose parents are done and that fits; cancel one whose parent failed, as kill-on-invalid-dep does."""
        parents = [other for other in self.table.values() if other["job_id"] in row["after"]]
        fallen = [p["name"] for p in parents if JobState(p["state"]) in FINAL and p["state"] != "COMPLETED"]
        if fallen:
            self.set(token, state="CANCELLED", reason=f"needs {fallen[0]}, which did not complete", ended=time.time())
            return
        if any(p["state"] != "COMPLETED" for p in parents):
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
        self.set(token, state="RUNNING", reason="", pid=child.pid, start=process_start(child.pid), started=time.time())
        write_json(self.folder / "table.json", self.table)  # at once: whoever comes after a kill must know the process

    def start(self, row: dict[str, Any], gpus: list[str]) -> subprocess.Popen[bytes]:
        """Start one job in a session of its own."""
        environment = {**os.environ, "ORCH_JOB_ID": row["job_id"], "CUDA_VISIBLE_DEVICES": ",".join(gpus)}
        with Path(row["log"]).open("ab") as log:
            return subprocess.Popen(["/bin/bash", row["script"]], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                    start_new_session=True, cwd=row["cwd"], env=environment)


def send(row: dict[str, Any], number: signal.Signals) -> None:
    """Signal a job's node process, which passes it on; it may be gone already."""
    if process_start(row["pid"]) == row["start"]:
        with suppress(ProcessLookupError):
            os.kill(row["pid"], number)


@contextmanager
def only_one(folder: Path) -> Iterator[bool]:
    """Whether this is the only scheduler of the run; the lock goes with the process."""
    with (folder / "scheduler.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        os.set_inheritable(file.fileno(), False)
        yield True


def main() -> int:
    """Schedule until nothing is queued or running."""
    run = open_run(Path(sys.argv[1]))
    with only_one(run.folder / "scheduler") as first:
        if not first:
            return 0
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        scheduler = Scheduler(run)
        idle = 0
        while idle < 10:  # a launch submits job by job: a queue that is empty for a moment is not the end
            idle = 0 if scheduler.round() else idle + 1
            time.sleep(POLL_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
