"""The process behind the queue of the cluster `local`: it starts jobs that fit, holds them to their
time limits, by a clock that never jumps, and notes their ends.

In: the files that ``orchestrator/clusters/local/cluster.py`` puts into ``<run>/scheduler/``
(``queue/``, ``cancel/``, ``hold/``), and the claims and exit records of the jobs. Out:
``table.json``, a row per job. ``python -m orchestrator.clusters.local`` makes one ``Scheduler`` and
calls ``round`` again and again.

Jobs run in sessions of their own through ``orchestrator.node``. When the scheduler is killed they
go on, and the next one adopts them by process id and start time. When the machine was restarted
they have ended with it, whatever process has their ids now.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from jobs.spec import Resources
from orchestrator.clusters.local.machine import this_machine
from orchestrator.clusters.local.slots import entry, fits, held_by, ledger
from orchestrator.clusters.local.table import (
    Claimed,
    Row,
    WrittenTable,
    began,
    names_in,
    queued_row,
    queued_tokens,
    read_table,
)
from orchestrator.clusters.local.waiting import FAILED, Waiting, is_over
from orchestrator.errors import RunError
from orchestrator.node.system import (
    boot,
    boot_of,
    lives,
    process_fields,
    process_start,
)
from orchestrator.runs.documents.reading import mapping
from orchestrator.runs.layout import OUT, RESULTS
from orchestrator.runs.record import ACTIVE, JobState
from orchestrator.runs.run import Run, wanted_by
from orchestrator.runs.sources import read_exit_of_this_start

WARNING_SECONDS = 120.0
"""SIGUSR2 comes this long before the time limit, or after half of a shorter one."""
KILL_SECONDS = 30.0
"""From SIGTERM to SIGKILL, as Slurm's KillWait."""
NO_EXIT_RECORD = "its process ended without an exit record (killed from outside, or out of memory)"
RESTARTED = "the machine was restarted while it ran"


class Scheduler:
    """The process behind the queue."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.folder = run.folder / "scheduler"
        self.machine = this_machine()
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.table = read_table(run)
        self.written = WrittenTable(self.folder / "table.json")
        self.waiting = Waiting()
        # Written in the first round in any case: it may have been damaged.
        self.changed = True
        self.looker: subprocess.Popen[bytes] | None = None
        self.look_wanted = False
        self.looks = (
            bool(
                self.run.plan.gates
                or self.run.plan.choices
                or self.run.plan.searches
                or self.run.plan.retry
                or self.run.plan.budget
                or self.run.profile.budget
                or wanted_by(self.run)
            )
            or self.run.profile.max_jobs is not None
        )

    def set(self, token: str, **values: Any) -> None:
        """Change a row; the table is written once per round."""
        self.table[token].update(values)
        self.written.changed(token)
        self.changed = True
        self.look_wanted |= self.looks and is_over(self.table[token])

    def round(self) -> bool:
        """One pass over everything. Returns whether work is left."""
        # What orch asked for, then ends, then starts: what has just ended leaves its slots.
        self.take_submitted()
        self.take_cancels()
        for token, row in list(self.table.items()):
            if row["state"] == "RUNNING":
                self.watch(token, row)
        self.start_waiting()
        if self.changed:
            self.written.write(self.table)
            self.changed = False
        looking = self.look()
        return looking or any(JobState(row["state"]) in ACTIVE for row in self.table.values())

    def start_waiting(self) -> None:
        """Start what waits and fits."""
        self.waiting.begin(self.table, self.folder)
        for token, row in list(self.table.items()):
            if row["state"] != "PENDING":
                continue
            try:
                self.start_if_possible(token, row)
            except RunError as error:
                # Somebody keeps the lock of the slots: those behind it would wait as long, and
                # nobody would look at time limits meanwhile.
                reason = f"Resources: {error}"
                if row["reason"] != reason:
                    self.set(token, reason=reason)
                return
            except OSError as error:
                # The folder that it runs in is gone, say: no reason for all others to wait.
                self.fail(token, f"cannot be started: {error}", None)

    def take_submitted(self) -> None:
        """A row for each job that was put into the queue since the last round, oldest first."""
        folder = self.folder / "queue"
        new = [folder / f"{token}.json" for token in queued_tokens(folder)]
        new = [path for path in new if path.stem not in self.table]
        for path in sorted(new, key=lambda path: path.stat().st_mtime):
            self.table[path.stem] = queued_row(path)
            self.changed = True

    def look(self) -> bool:
        """Let `orch advance` look at gates and waiting jobs once a job has ended, as a process of
        its own. Returns whether one is running."""
        if self.looker is not None and self.looker.poll() is not None:
            self.looker = None
        if self.looker is None and self.look_wanted:
            self.look_wanted = False
            command = [sys.executable, "-P", "-m", "orchestrator.cli", "advance"]
            self.looker = subprocess.Popen(
                [*command, str(self.run.folder)], stdin=subprocess.DEVNULL, cwd=self.run.folder
            )
        return self.looker is not None

    def take_cancels(self) -> None:
        """End the jobs that orch asked to end."""
        asked = [name for name in names_in(self.folder / "cancel") if name.startswith("L-")]
        if not asked:
            return
        by_id = {row["job_id"]: token for token, row in self.table.items()}
        for name in asked:
            token = by_id.get(name)
            if token is not None:
                self.cancel(token, self.table[token])
        # The table first: the file's absence tells orch that the cancel is noted.
        self.written.write(self.table)
        for name in asked:
            (self.folder / "cancel" / name).unlink(missing_ok=True)

    def cancel(self, token: str, row: Row) -> None:
        """End a job that a person cancelled; nothing if it has ended, or is ending already."""
        if row["state"] == "PENDING":
            self.set(token, state="CANCELLED", reason="cancelled", ended=time.time())
        elif row["state"] == "RUNNING" and not row.get("ending"):
            self.stop(token, row, "CANCELLED", "cancelled")

    def stop(self, token: str, row: Row, state: str, reason: str) -> None:
        """Ask a running job to end; it will be killed after a while, and then have this state."""
        self.set(token, ending=state, reason=reason, kill_at=time.monotonic() + KILL_SECONDS)
        send(row, signal.SIGTERM)

    def watch(self, token: str, row: Row) -> None:
        """Notice the end of a running job, and hold it to its time limit."""
        child = self.children.get(token)
        # A child of ours is known to have ended by poll(), which also clears the zombie away. A job
        # that was adopted is no child: its process is known by id and start time.
        child_ended = child is not None and child.poll() is not None
        if child_ended or not lives(row):
            self.end(token, row)
            return
        now = time.monotonic()
        limit = row["resources"]["minutes"] * 60
        ends = began(row) + limit
        if not row.get("warned") and now > ends - min(WARNING_SECONDS, limit / 2):
            self.set(token, warned=True)
            send(row, signal.SIGUSR2)
        if not row.get("ending") and now > ends:
            self.stop(token, row, "TIMEOUT", "time limit reached")
        # An older version has noted it by the clock on the wall.
        if row.get("ending") and now > row.setdefault("kill_at", now + KILL_SECONDS):
            with suppress(ProcessLookupError):
                # The job leads a session, so its process group has the same id.
                os.killpg(row["pid"], signal.SIGKILL)

    def end(self, token: str, row: Row) -> None:
        """Note how a job ended: by its exit record, and without one by what is known of its
        process."""
        self.children.pop(token, None)
        if "exits" in row:
            self.end_pack(token, row)
            return
        exit_file = Path(row["exit"])
        if not exit_file.exists():
            worker = other_worker(exit_file.with_name("claim.json"), row["pid"])
            if worker is not None:
                # A scheduler that was killed had started the job and not noted it; ours ended
                # without work. That one is the job.
                self.set(token, **worker)
                return
        left = read_exit_of_this_start(exit_file)
        # What was cancelled, or has met its time limit, is not started again.
        if left is not None and left.requeued and not row.get("ending"):
            self.requeue(token)
        elif (exit_file.parent.parent / OUT / RESULTS).exists():
            ended = time.time() if left is None else left.ended
            self.set(token, state="COMPLETED", reason="", ended=ended, exit_code=0)
        elif row.get("ending"):
            self.set(token, state=row["ending"], ended=time.time())
        # A machine that goes down in an orderly way ends its processes by a signal first.
        elif was_restarted(row) and (left is None or left.signals):
            self.end_with_machine(token, row)
        elif left is not None:
            self.fail(token, "", left.exit_code)
        else:
            self.fail(token, NO_EXIT_RECORD, None)

    def end_pack(self, token: str, row: Row) -> None:
        """Note how a pack ended; how each of its members did is in their own exit records."""
        exit_files = [Path(path) for path in row["exits"]]
        left = [read_exit_of_this_start(path) for path in exit_files]
        for path, exit_record in zip(exit_files, left, strict=True):
            if exit_record is not None:
                continue
            parent = pack_of(path.with_name("claim.json"), str(Path(row["script"]).parent))
            if parent is not None:
                # A scheduler that was killed had started this pack and not noted it. That one is
                # the job.
                self.set(token, pid=parent, start=process_start(parent))
                return
        if row.get("ending"):
            self.set(token, state=row["ending"], ended=time.time())
        elif any(exit_record is not None and exit_record.requeued for exit_record in left):
            self.requeue(token)
        elif was_restarted(row) and not all(one is not None and one.by_itself for one in left):
            self.end_with_machine(token, row)
        elif None in left:
            self.set(token, state="FAILED", reason=NO_EXIT_RECORD, ended=time.time())
        else:
            self.set(token, state="COMPLETED", reason="", ended=time.time(), exit_code=0)

    def requeue(self, token: str) -> None:
        """Put a job that saved its state before its time limit back into the queue."""
        self.set(token, state="PENDING", reason="requeued at its time limit", warned=False)

    def end_with_machine(self, token: str, row: Row) -> None:
        """Note that a job has ended because this machine was restarted: when, nobody has seen, and
        the time that the machine was off is not the job's."""
        exits = [Path(path) for path in row.get("exits", [row.get("exit")])]
        written = [path.parent.parent / OUT / "progress.jsonl" for path in exits]
        signs = [path.stat().st_mtime for path in (Path(row["log"]), *written) if path.exists()]
        ended = max([row["started"], *signs])
        self.set(token, state="NODE_FAIL", reason=RESTARTED, ended=ended)

    def fail(self, token: str, reason: str, exit_code: int | None) -> None:
        """Note that a job ended without results."""
        self.set(token, state="FAILED", reason=reason, ended=time.time(), exit_code=exit_code)

    def start_if_possible(self, token: str, row: Row) -> None:
        """Start a job whose parents are done and that fits; cancel one whose parent failed, as
        kill-on-invalid-dep does."""
        if self.waiting.is_as_before(token):
            return
        parents = self.waiting.parents(row)
        for parent in parents:
            if parent["state"] in FAILED:
                reason = f"needs {parent.get('name', parent['job_id'])}, which did not complete"
                self.set(token, state="CANCELLED", reason=reason, ended=time.time())
                return
        reason = self.waiting.reason(token, row, parents)
        child: subprocess.Popen[bytes] | None = None
        if not reason:
            child, reason = self.start_if_it_fits(row)
        if child is None:
            # Asked every round for every waiting job: only news is a reason to write the table.
            if row["reason"] != reason:
                self.set(token, reason=reason)
            return
        self.children[token] = child
        self.set(
            token,
            state="RUNNING",
            reason="",
            pid=child.pid,
            start=process_start(child.pid),
            started=time.time(),
            began=time.monotonic(),
        )
        self.written.write(self.table)  # at once: whoever comes after a kill must know the process

    def start_if_it_fits(self, row: Row) -> tuple[subprocess.Popen[bytes] | None, str]:
        """Start a job on CPUs, memory and GPUs that nobody has; None if there are not enough, and
        who has them."""
        # A newer version may ask for more.
        resources = msgspec.convert(row["resources"], Resources)
        full = self.waiting.why_full(resources)
        if full:
            return None, full
        # Under the lock until the job is entered: schedulers of other runs count the same CPUs.
        with ledger() as entries:
            gpus = fits(self.machine, resources, entries)
            if gpus is None:
                reason = held_by(self.machine, resources, entries)
                return None, self.waiting.note_full(resources, reason)
            child = self.start(row, gpus)
            entries.append(entry(child.pid, resources, gpus, f"{self.run.name}:{row['name']}"))
        return child, ""

    def start(self, row: Row, gpus: list[str]) -> subprocess.Popen[bytes]:
        """Start one job in a session of its own."""
        # Without GPUs the list is "", so that CUDA finds none.
        own = {"ORCH_JOB_ID": row["job_id"], "CUDA_VISIBLE_DEVICES": ",".join(gpus)}
        with Path(row["log"]).open("ab") as log:
            return subprocess.Popen(
                ["/bin/bash", row["script"]],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=row["cwd"],
                env={**os.environ, **own},
            )


def was_restarted(row: Row) -> bool:
    """Whether this machine was restarted since a job began."""
    # None: it had ended before its start time could be read.
    return boot_of(row["start"] or "") not in ("", boot())


def living_claim(claim: Path) -> Row | None:
    """A claim whose process lives; None if there is none."""
    held = mapping(claim, "left out", Claimed)
    return held if held is not None and lives(held) else None


def other_worker(claim: Path, pid: int) -> Row | None:
    """The process other than ``pid`` that holds the claim and lives, as values of a row."""
    held = living_claim(claim)
    if held is None or held["pid"] == pid:
        return None
    return {key: held[key] for key in ("pid", "start", "started")}


def pack_of(claim: Path, folder: str) -> int | None:
    """The process that works on the pack in ``folder`` and has a living member with this claim."""
    held = living_claim(claim)
    fields = None if held is None else process_fields(held["pid"])
    if fields is None:
        return None
    parent = fields[1]
    try:
        words = Path(f"/proc/{parent}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(parent) if folder in words else None


def send(row: Row, number: signal.Signals) -> None:
    """Signal a job's node process, which passes it on; it may be gone already."""
    if lives(row):
        with suppress(ProcessLookupError):
            os.kill(row["pid"], number)
