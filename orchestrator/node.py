"""On the node: claim the job, run its engine as a child process, pass signals on, leave an exit record.

    python -P -u -m orchestrator.node JOB_FOLDER ATTEMPT TOKEN

Slurm and the local scheduler start the same program. It needs nothing but the job's folder, which is complete before anything is
submitted, and it starts in milliseconds: the standard library only. Its output is the attempt's ``log.txt``.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Any

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
ERROR_LINE = re.compile(r"error|exception|killed|no such file|not found|cannot|failed|denied|refused|out of memory|no space|"
                        r"stopped:", re.IGNORECASE)
LOG_TAIL_BYTES = 64_000
CONTINUES = 75
"""Exit code of a program that was asked to stop, has saved where it stands, and goes on from there when started again."""
REQUEUE_SECONDS = 60.0
"""Longest wait for scontrol."""


def write_json(path: Path, value: object) -> None:
    """Write JSON whole, by rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def process_start(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None if it is gone. Tells a process from a later one of the same pid."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in ("Z", "X") else fields[19]


def handles(pid: int, number: int) -> bool:
    """Whether a process has a handler of its own for a signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


PROCESS_GROUP, SESSION = 2, 3
"""Where /proc/<pid>/stat, counted after the name, tells them."""


def members(leader: int, field: int) -> list[int]:
    """The processes of a process group or session, its leader first."""
    found = [leader]
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[field] == str(leader) and path.parent.name != str(leader):
            found.append(int(path.parent.name))
    return found


def claim(attempt: Path, token: str, job_id: str) -> int | None:
    """Take the attempt for this job id. Returns how often this id had it before, or None if another id has it.

    The claim is one exclusive creation, by hard link so that it is atomic on NFS and never half written.
    """
    path = attempt / "claim.json"
    mine = {"token": token, "job_id": job_id, "host": socket.gethostname(), "pid": os.getpid(), "start": process_start(os.getpid()),
            "started": time.time(), "restart": 0}
    draft = attempt / f".claim.{socket.gethostname()}.{os.getpid()}"
    draft.write_text(json.dumps(mine))
    try:
        os.link(draft, path)
    except FileExistsError:
        held = json.loads(path.read_text())
        if held["job_id"] != job_id:
            print(f"orch: job {held['job_id']} on {held['host']} has this attempt; {job_id} ends without work", flush=True)
            return None
        if held["host"] == socket.gethostname() and held["start"] == process_start(held["pid"]):
            print(f"orch: process {held['pid']} already works on this attempt; this one ends without work", flush=True)
            return None
        # The scheduler started the same job again (requeue): it is ours to continue. What the time before left is kept.
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            os.link(attempt / "exit.json", attempt / f"exit-{held['restart']}.json")
        write_json(path, mine | {"restart": held["restart"] + 1})
        return int(held["restart"]) + 1
    finally:
        draft.unlink()
    return 0


def error_line(log: Path) -> str:
    """The line of a log that most likely says why a job died: the last one that looks like an error, else the last one."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("orch:")]
    suspects = [line for line in lines if ERROR_LINE.search(line)]
    # A traceback ends in "SomeError: what"; that line says more than a log message that merely holds the word.
    exceptions = [line for line in suspects if re.match(r"[\w.]*(Error|Exception|Interrupt|Exit)\b", line) or line.startswith("engines.")]
    chosen = (exceptions or suspects or lines)[-1:]
    return chosen[0][:300] if chosen else ""


def die_with_parent() -> None:
    """In the child: be killed when this process is. An engine without its node process would write beside its successor."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def last_step(out: Path) -> int | None:
    """The step of the last whole line of ``progress.jsonl``; None if there is none."""
    path = out / "progress.jsonl"
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
        for line in reversed(file.read().splitlines()):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                return int(json.loads(line)["step"])
    return None


class Attempt:
    """One attempt at a job: its folder, its child process, the signals it received."""

    def __init__(self, folder: Path, number: int, token: str) -> None:
        self.job: dict[str, Any] = json.loads((folder / "job.json").read_text())
        self.folder = folder
        self.token = token
        self.path = folder / f"attempt-{number}"
        self.out = folder / "out"
        self.job_id = os.environ.get("SLURM_JOB_ID") or os.environ.get("ORCH_JOB_ID") or f"pid-{os.getpid()}"
        self.child: subprocess.Popen[bytes] | None = None
        self.signals: list[str] = []
        self.unsent: list[int] = []
        self.started = time.time()
        self.first_step = last_step(self.out)

    def forward(self, number: int, _frame: FrameType | None) -> None:
        """Pass a signal on; the wait in ``run`` goes on."""
        self.signals.append(signal.Signals(number).name)
        if self.child is None:
            self.unsent.append(number)  # the child may be starting at this moment: it gets it as soon as it is there
        else:
            self.send(self.child, number)

    def send(self, child: subprocess.Popen[bytes], number: int) -> None:
        """Signal the child, unless it has ended."""
        if child.poll() is not None:
            return
        # An engine saves its state with the help of its own children, so only the engine itself is told. A command may be a shell
        # that passes nothing on. SIGUSR2 is a warning: a program without a handler would die of it, minutes before its time is up.
        engine = self.job["command"] is None
        if number == signal.SIGUSR2:
            for pid in [child.pid] if engine else members(child.pid, PROCESS_GROUP):
                if handles(pid, number):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
        else:
            (os.kill if engine else os.killpg)(child.pid, number)

    def missing_inputs(self) -> list[str]:
        """Jobs this one needs whose results are not there; a job that a gate skipped leaves none."""
        return [name for name, folder in self.job["needs"].items() if not (Path(folder) / "out" / "results.json").exists()
                and not (Path(folder) / "skipped.json").exists()]

    def command(self) -> list[str]:
        """What to run: the engine as a program, or the user's command."""
        if self.job["command"] is not None:
            return list(self.job["command"])
        engine = f"engines.{self.job['engine']}"
        return [sys.executable, "-P", "-u", "-m", engine, str(self.folder / "config.json"), "--out", str(self.out)]

    def run(self) -> int:
        """Run to the end and return the exit code of the engine; a command's results are its exit code 0."""
        for number in FORWARDED:
            signal.signal(number, self.forward)
        if (self.out / "results.json").exists():
            print("orch: the results are there: nothing to do", flush=True)
            return 0
        missing = self.missing_inputs()
        if missing:
            print(f"orch-error: needs the results of {', '.join(missing)}, which are not there", flush=True)
            return 1
        self.out.mkdir(exist_ok=True)
        if self.signals:
            return 1  # asked to stop before anything was started
        # Libraries leave files in the temporary folder, so each attempt has one of its own. Its path is short: Ray's sockets lie below.
        with tempfile.TemporaryDirectory(prefix="orch-", ignore_cleanup_errors=True) as temporary:
            try:
                self.child = subprocess.Popen(self.command(), cwd=self.job["cwd"], env={**os.environ, "TMPDIR": temporary},
                                              stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent)
            except OSError as error:
                print(f"orch-error: cannot start {self.command()[0]}: {error}", flush=True)
                return 127
            for early in self.unsent:
                self.send(self.child, early)
            code = self.child.wait()
            for pid in members(self.child.pid, SESSION)[1:]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)  # what a crashed program left running would hold GPU and memory
        if code == 0 and self.job["command"] is not None:
            write_json(self.out / "results.json", {
                "schema": 1, "engine": "command", "config": {}, "rows": [], "seconds": time.time() - self.started,
                "facts": {"command": self.job["command"]}})
        return code

    def goes_on(self, code: int) -> bool:
        """Whether the scheduler should start this job again: it was warned, saved its state, and came further than the time before.

        The last condition ends a chain of restarts that would never reach the end, such as a step longer than the time limit.
        """
        if code != CONTINUES or "SIGUSR2" not in self.signals or "SIGTERM" in self.signals:
            return False
        step = last_step(self.out)
        if step is None or self.first_step is None or step > self.first_step:
            return True
        print(f"orch-error: stopped at the time limit at step {step}, where it had started: not requeued; ask for more minutes", flush=True)
        return False

    def leave(self, code: int, restart: int, requeued: bool) -> bool:
        """Write the exit record; returns whether the results are there."""
        results = (self.out / "results.json").exists()
        write_json(self.path / "exit.json", {
            "token": self.token, "job_id": self.job_id, "host": socket.gethostname(), "pid": os.getpid(), "exit_code": code,
            "started": self.started, "ended": time.time(), "results": results, "signals": self.signals, "restart": restart,
            "requeued": requeued, "resources": self.job.get("resources"),
            "reason": "" if results else error_line(self.path / "log.txt").removeprefix("orch-error: ")})
        return results


def requeue(job_id: str) -> str:
    """Ask the scheduler to start this job again; returns what went wrong, or "". The local scheduler reads the exit record instead."""
    if "SLURM_JOB_ID" not in os.environ:
        return ""
    try:
        result = subprocess.run(["scontrol", "requeue", job_id], capture_output=True, text=True, timeout=REQUEUE_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if result.returncode == 0 else " ".join(result.stderr.split())


def main() -> int:
    """Run one attempt. Exit code 0: results are there, or another job has the attempt; else the engine's, at least 1."""
    folder, number, token = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    attempt = Attempt(folder, number, token)
    restart = claim(attempt.path, token, attempt.job_id)
    if restart is None:
        return 0
    code = attempt.run()
    again = attempt.goes_on(code)
    if attempt.leave(code, restart, again):
        return 0
    if again and (trouble := requeue(attempt.job_id)):
        print(f"orch-error: could not be requeued: {trouble}", flush=True)
        attempt.leave(code, restart, requeued=False)
    return code if code > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
