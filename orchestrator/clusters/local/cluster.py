"""The cluster `local`: a queue on this machine with Slurm's states, dependencies and time limits,
and slots for what it has.

    python -P -m orchestrator.clusters.local RUN_FOLDER

In: batches to submit, ids to cancel or hold. Out: job ids, and the state of each job. orch calls it
through ``cluster_of`` (``orchestrator/clusters/select.py``), as it calls Slurm.

The scheduler is a process of its own session: it goes on when the terminal closes and ends with the
run. Everything it knows lies in ``<run>/scheduler/``: ``queue/<token>.json`` (what was submitted),
``table.json`` (the state of each job), ``cancel/<id>``, ``hold/<id>``. Jobs run in sessions of
their own through ``orchestrator.node``. When the scheduler is killed they go on, and the scheduler
that the next orch command starts adopts them by process id and start time.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from jobs.spec import Job
from orchestrator.clusters.batch import Batch, Waits, becoming
from orchestrator.clusters.local.machine import Machine, this_machine
from orchestrator.clusters.local.scheduler import send
from orchestrator.clusters.local.table import queued_tokens, read_table
from orchestrator.errors import SubmitError
from orchestrator.node.light.standard import whole
from orchestrator.node.system import lives, write_json, write_text
from orchestrator.runs.documents.damage import note
from orchestrator.runs.documents.lock_files import opened
from orchestrator.runs.documents.people import lock_mode
from orchestrator.runs.record import ACTIVE, FINAL, JobState, Record
from orchestrator.runs.run import Run
from orchestrator.runs.sources import Answer, SchedulerRecord

POLL_SECONDS = 0.2
"""Time between two rounds of the scheduler."""
START_SECONDS = 120.0
"""Longest wait for a scheduler to take its lock."""
MOST_FAILURES = 3
"""So often a scheduler may end at its start."""
LOCK, READY = "scheduler.lock", "ready.lock"
"""Locks that a scheduler has: from its start, and once it has looked at every job. The first one
holds its process id and start."""

LOG_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
OF_THE_SHELL = {b"_", b"SHLVL", b"PWD", b"OLDPWD", b"COLUMNS", b"LINES"}
"""Variables that a shell changes by itself, and that are no reason for another scheduler."""


class LocalCluster:
    """What orch sees of the scheduler of one run: files."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.folder = run.folder / "scheduler"
        self.trouble = ""
        self.queued: int | None = None
        self.looks = 0
        # A submission here is a file, and the first one starts the scheduler.
        self.submissions_at_once = 1
        self.gave_way = False
        """Whether a scheduler was asked to end, for one with this process's environment."""

    @cached_property
    def machine(self) -> Machine:
        """This machine, asked once: `nvidia-smi` takes a second or more on some."""
        return this_machine()

    def largest(self, job: Job) -> dict[str, int] | None:  # noqa: ARG002  # one machine for all
        """All the memory of this machine."""
        return {"memory_gb": self.machine.memory_gb}

    def most_jobs(self) -> int | None:
        """No limit of its own."""
        return None

    def array_size(self) -> int:
        """No arrays: a job here is a file."""
        return 1

    def script(self, batch: Batch, waits: Waits) -> str:
        """The command that the scheduler starts, as a script to read."""
        job, record, resources = batch.jobs[0], batch.records[0], batch.resources
        lines = [
            "#!/bin/bash",
            f"# {resources.cpus} CPUs, {resources.memory_gb} GB, {resources.gpus} GPUs, "
            f"{resources.minutes} minutes",
        ]
        parents = (*waits.all, *waits.ended)
        if parents:
            lines.append(f"# after {' '.join(parents)}")
        # Each job keeps to its own CPUs, which nothing on this machine enforces.
        profile = self.run.profile.with_options(job.options, job.resources.gpus)
        lines += profile.set_up_lines(OMP_NUM_THREADS=str(job.resources.cpus))
        command = self.run.node_command(job, record)
        lines.append(becoming(command, self.run.launcher(job, record)))
        return "".join(f"{line}\n" for line in lines)

    def submit(self, batch: Batch, waits: Waits) -> str:
        """Put the job in the queue and see that a scheduler runs. SubmitError if it can never run
        here."""
        refusal = self.machine.refusal(batch.resources)
        if refusal:
            raise SubmitError(f"{batch.title} {refusal}")
        (self.folder / "queue").mkdir(parents=True, exist_ok=True)
        (self.folder / "cancel").mkdir(exist_ok=True)
        token = batch.records[0].allocation
        row = self.row(token, batch, waits)
        write_text(row["script"], self.script(batch, waits))
        # Last, by rename: from now on the scheduler may start the script at any moment.
        write_json(self.folder / "queue" / f"{token}.json", row)
        if self.queued is not None:
            self.queued += 1
        self.wake()
        return str(row["job_id"])

    def row(self, token: str, batch: Batch, waits: Waits) -> dict[str, Any]:
        """What the scheduler is told of a batch."""
        record, resources = batch.records[0], batch.resources
        exit_files = [str(self.run.exit_file(member)) for member in batch.records]
        if batch.packed:
            folder = self.run.array_folder(token)
            log = self.run.allocation_log(token)
        else:
            folder = self.run.attempt_folder(record)
            log = self.run.log(record)
        return {
            "job_id": f"L-{token}",
            "token": token,
            "name": batch.title,
            "script": str(folder / "script.sh"),
            "log": str(log),
            **({"exits": exit_files} if batch.packed else {"exit": exit_files[0]}),
            "after": list(waits.all),
            "ended": list(waits.ended),
            "submitted": time.time(),
            "cwd": self.run.cwd,
            "resources": {
                key: getattr(resources, key) for key in ("gpus", "cpus", "memory_gb", "minutes")
            },
        }

    def table(self) -> dict[str, dict[str, Any]]:
        """States by token, as the scheduler wrote them last, and queued jobs it has not seen
        yet."""
        table = read_table(self.run)
        for token in queued_tokens(self.folder / "queue"):
            table.setdefault(token, {"job_id": f"L-{token}", "state": "PENDING"})
        return table

    def wake(self, lock: str = LOCK) -> None:
        """Start a scheduler if none is alive; returns when one has the lock."""
        deadline = time.monotonic() + START_SECONDS
        process: subprocess.Popen[bytes] | None = None
        failures = 0
        while not alive(self.folder, lock):
            if process is None or process.poll() is not None:
                # One that finds another with the lock ends with 0.
                failures += process is not None and process.returncode != 0
                if failures >= MOST_FAILURES or time.monotonic() > deadline:
                    raise SubmitError(
                        f"the local scheduler does not start; see {self.folder / 'log.txt'}"
                    )
                process = self.start_scheduler()
            time.sleep(0.02)

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        """Start one in a session of its own. If another has the lock it ends at once."""
        command = [sys.executable, "-P", "-m", "orchestrator.clusters.local", str(self.run.folder)]
        # Without waiting: what lies there may be a pipe that nobody reads.
        log_file = os.open(self.folder / "log.txt", LOG_FLAGS, 0o666)
        with os.fdopen(log_file, "ab") as log:
            return subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=self.run.folder,
            )

    def take_environment(self) -> None:
        """Let a scheduler with another environment than this process's give way: jobs get that of
        their scheduler. What waits goes with the new one, what runs stays as it is.

        Memory to memory: an environment may hold secrets, so no file brings it over.
        """
        deadline = time.monotonic() + START_SECONDS
        while (pid := holder(self.folder)) is not None and lacks(pid, os.environb):
            if time.monotonic() > deadline:
                raise SubmitError(
                    "the local scheduler does not end for one with the present environment; see "
                    f"{self.folder / 'log.txt'}"
                )
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
                self.gave_way = True
            time.sleep(0.05)

    def ask(self, wanted: frozenset[JobState]) -> Answer:
        """Jobs in one of these states, by token. A scheduler that was killed with work left is
        started again here."""
        table = self.table()
        work_left = any(JobState(row["state"]) in ACTIVE for row in table.values())
        if work_left and not alive(self.folder):
            # Until then the table shows as running what has ended with the last scheduler.
            had_begun = (self.folder / READY).exists()
            try:
                self.wake(READY)
            except OSError as error:
                # No more processes may be started, say.
                self.trouble = f"the scheduler of this machine cannot be started ({error.strerror})"
                return None
            except SubmitError as error:
                self.trouble = str(error)
                return None
            if had_begun and not self.gave_way:
                log = self.folder / "log.txt"
                note(self.folder, "its scheduler had died", f"another goes on; {log} may say why")
            table = self.table()
        return {
            token: scheduler_record(token, row)
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

    def nudge(self, record: Record) -> None:
        """SIGUSR1 to the process of a pack."""
        for row in self.table().values():
            if row["job_id"] == record.job_id and row["state"] == "RUNNING":
                send(row, signal.SIGUSR1)
                return

    def hold(self, records: Sequence[Record], release: bool = False) -> set[str]:
        """Keep waiting jobs from starting, or let them go."""
        (self.folder / "hold").mkdir(exist_ok=True)
        for record in records:
            mark = self.folder / "hold" / str(record.job_id)
            if release:
                mark.unlink(missing_ok=True)
            else:
                mark.touch()
        return {record.name for record in records}

    def wait_for(self, records: Sequence[Record], waits: Waits) -> set[str]:  # noqa: ARG002  # see below
        """The scheduler's table is its own, so a queued job is submitted again in place of a
        change."""
        return set()

    def look_after(self, records: Sequence[Record]) -> None:
        """The scheduler of this machine looks at the gates whenever a job has ended."""

    def look_again(self, records: Sequence[Record]) -> None:
        """And at the backlog."""

    def cancel(self, records: Sequence[Record]) -> dict[str, str]:
        """Ask the scheduler to end these jobs, and wait until it has taken note."""
        job_ids = list(dict.fromkeys(str(record.job_id) for record in records))
        for job_id in job_ids:
            (self.folder / "cancel" / job_id).touch()
        self.wake()
        deadline = time.monotonic() + START_SECONDS
        # The scheduler removes each file once the table says that its job is ending.
        while any((self.folder / "cancel" / job_id).exists() for job_id in job_ids):
            if time.monotonic() > deadline:
                raise SubmitError(
                    "the local scheduler has not taken note of the cancel; see "
                    f"{self.folder / 'log.txt'}"
                )
            time.sleep(0.05)
        return {}


def scheduler_record(token: str, row: dict[str, Any]) -> SchedulerRecord:
    """What a row of the scheduler's table says of a job."""
    state = JobState(row["state"])
    return SchedulerRecord(
        job_id=row["job_id"],
        token=token,
        state=state,
        reason=row.get("reason", ""),
        started=row.get("started"),
        # Until a job has ended its row's "ended" holds the jobs whose end it waits for.
        ended=row.get("ended") if state in FINAL else None,
        exit_code=row.get("exit_code"),
    )


def holder(folder: Path) -> int | None:
    """The process that is the run's scheduler; None if there is none, or it has not said."""
    if not alive(folder):
        return None
    # Empty where an older version has the lock, or one that is about to write.
    number, _, start = (folder / LOCK).read_text(errors="replace").partition(" ")
    pid = whole(number)
    return pid if pid is not None and lives({"pid": pid, "start": start}) else None


def lacks(pid: int, environment: Mapping[bytes, bytes]) -> bool:
    """Whether a process was started with other variables than these; not if it has just ended."""
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    theirs = dict(word.split(b"=", 1) for word in words if b"=" in word)
    differing = {name for name, _ in theirs.items() ^ environment.items()}
    return bool(differing - OF_THE_SHELL)


def alive(folder: Path, lock: str = LOCK) -> bool:
    """Whether a scheduler has the lock."""
    path = folder / lock
    if not path.exists():
        return False
    with opened(path, lock_mode(folder.parent.parent.parent)) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
