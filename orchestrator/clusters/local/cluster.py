"""The cluster `local`: a queue on this machine with Slurm's states, dependencies and time limits,
and slots for what it has.

    python -P -m orchestrator.clusters.local RUN_FOLDER

The scheduler is a process of its own session: it goes on when the terminal closes and ends with the
run. Everything it knows lies in ``<run>/scheduler/``: ``queue/<token>.json`` (what was submitted),
``table.json`` (the state of each job), ``cancel/<id>``. Jobs run in sessions of their own through
``orchestrator.node``. When the scheduler is killed they go on, and the scheduler that the next orch
command starts adopts them by process id and start time.
"""

from __future__ import annotations

import fcntl
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.spec import Job
from orchestrator.clusters.batch import Batch, Waits
from orchestrator.clusters.local.scheduler import read_table, send
from orchestrator.clusters.local.slots import this_machine
from orchestrator.errors import SubmitError
from orchestrator.node.system import write_json
from orchestrator.runs.reconcile import Answer, Seen
from orchestrator.runs.record import ACTIVE, FINAL, JobState, Record
from orchestrator.runs.run import Run

POLL_SECONDS = 0.2


START_SECONDS = 120.0
"""Longest wait for a scheduler to take its lock."""


class LocalCluster:
    """What orch sees of the scheduler of one run: files."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.folder = run.folder / "scheduler"
        self.trouble = ""
        self.queued: int | None = None
        self.looks = 0

    def most_jobs(self) -> int | None:
        """No limit of its own."""
        return None

    def array_size(self) -> int:
        """No arrays: a job here is a file."""
        return 1

    def script(self, batch: Batch, waits: Waits) -> str:
        """The command that the scheduler starts, as a script to read."""
        job, record, resources = batch.jobs[0], batch.records[0], batch.resources
        parents = (*waits.all, *waits.ended)
        after = f"# after {' '.join(parents)}\n" if parents else ""
        limits = (
            f"# {resources.cpus} CPUs, {resources.memory_gb} GB, {resources.gpus} GPUs, "
            f"{resources.minutes} minutes\n"
        )
        exports = "".join(
            f"export {key}={shlex.quote(value)}\n" for key, value in self.environment(job).items()
        )
        profile = self.run.profile
        setup = "".join(
            f"{line}\n"
            for line in [*profile.exports(), *(["set -e", *profile.setup] if profile.setup else [])]
        )
        command = self.run.node_command(job, record)
        return f"#!/bin/bash\n{limits}{after}{exports}{setup}exec {shlex.join(command)}\n"

    def environment(self, job: Job) -> dict[str, str]:
        """What the job's environment has beside orch's own."""
        return {"PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": str(job.resources.cpus)}

    def submit(self, batch: Batch, waits: Waits) -> str:
        """Put the job in the queue and see that a scheduler runs. SubmitError if it can never run
        here."""
        record, resources, token = (
            batch.records[0],
            batch.resources,
            batch.records[0].allocation,
        )
        refusal = this_machine().refusal(resources)
        if refusal:
            raise SubmitError(f"{batch.title} {refusal}")
        script = (
            self.run.array_folder(token) if batch.packed else self.run.attempt_folder(record)
        ) / "script.sh"
        log = self.run.allocation_log(token) if batch.packed else self.run.log(record)
        script.write_text(self.script(batch, waits))
        (self.folder / "queue").mkdir(parents=True, exist_ok=True)
        (self.folder / "cancel").mkdir(exist_ok=True)
        job_id = f"L-{token}"
        exits = [str(self.run.attempt_folder(record) / "exit.json") for record in batch.records]
        write_json(
            self.folder / "queue" / f"{token}.json",
            {
                "job_id": job_id,
                "token": token,
                "name": batch.title,
                "script": str(script),
                "log": str(log),
                **({"exits": exits} if batch.packed else {"exit": exits[0]}),
                "after": list(waits.all),
                "ended": list(waits.ended),
                "submitted": time.time(),
                "cwd": self.run.cwd,
                "resources": {
                    key: getattr(resources, key) for key in ("gpus", "cpus", "memory_gb", "minutes")
                },
            },
        )
        self.queued = None if self.queued is None else self.queued + 1
        self.wake()
        return job_id

    def table(self) -> dict[str, dict[str, Any]]:
        """States by token, as the scheduler wrote them last, and queued jobs it has not seen
        yet."""
        table = read_table(self.folder)
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
                    raise SubmitError(
                        f"the local scheduler does not start; see {self.folder / 'log.txt'}"
                    )
                with (self.folder / "log.txt").open("ab") as log:
                    process = subprocess.Popen(
                        [
                            sys.executable,
                            "-P",
                            "-m",
                            "orchestrator.clusters.local",
                            str(self.run.folder),
                        ],
                        stdout=log,
                        stderr=log,
                        stdin=subprocess.DEVNULL,
                        start_new_session=True,
                        cwd=self.run.folder,
                    )
            time.sleep(0.02)

    def ask(self, wanted: frozenset[JobState]) -> Answer:
        """Jobs in one of these states, by token. A scheduler that was killed with work left is
        started again here."""
        table = self.table()
        if any(JobState(row["state"]) in ACTIVE for row in table.values()) and not alive(
            self.folder
        ):
            self.wake()
            table = self.table()
        # Until a job has ended its row's "ended" holds the jobs whose end it waits for.
        return {
            token: Seen(
                job_id=row["job_id"],
                token=token,
                state=JobState(row["state"]),
                reason=row.get("reason", ""),
                started=row.get("started"),
                ended=row.get("ended") if JobState(row["state"]) in FINAL else None,
                exit_code=row.get("exit_code"),
            )
            for token, row in table.items()
            if JobState(row["state"]) in wanted
        }

    def ask_active(self, shared: bool = False) -> Answer:  # noqa: ARG002  # it costs nothing to read the table anew
        """Queued and running jobs."""
        found = self.ask(ACTIVE)
        self.queued = None if found is None else len(found)
        return found

    def ask_final(self, since: float, shared: bool = False) -> Answer:  # noqa: ARG002  # the table holds the run's own jobs only, all of them
        """Ended jobs."""
        return self.ask(FINAL)

    def nudge(self, job_id: str) -> None:
        """SIGUSR1 to the process of a pack."""
        row = next(
            (
                row
                for row in self.table().values()
                if row["job_id"] == job_id and row["state"] == "RUNNING"
            ),
            None,
        )
        if row is not None:
            send(row, signal.SIGUSR1)

    def hold(self, job_ids: Sequence[str], release: bool = False) -> bool:
        """Keep waiting jobs from starting, or let them go."""
        (self.folder / "hold").mkdir(exist_ok=True)
        for job_id in job_ids:
            (self.folder / "hold" / job_id).unlink(missing_ok=True) if release else (
                self.folder / "hold" / job_id
            ).touch()
        return True

    def look_after(self, records: Sequence[Record]) -> None:
        """The scheduler of this machine looks at the gates whenever a job has ended."""

    def look_again(self, records: Sequence[Record]) -> None:
        """And at the backlog."""

    def cancel(self, job_ids: Sequence[str]) -> None:
        """Ask the scheduler to end these jobs, and wait until it has taken note."""
        for job_id in job_ids:
            (self.folder / "cancel" / job_id).touch()
        self.wake()
        deadline = time.monotonic() + START_SECONDS
        while any((self.folder / "cancel" / job_id).exists() for job_id in job_ids):
            if time.monotonic() > deadline:
                raise SubmitError(
                    "the local scheduler has not taken note of the cancel; see "
                    f"{self.folder / 'log.txt'}"
                )
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
