"""On the node: claim the job, run its engine as a child process, pass signals on, leave an exit record.

    python -I -S -u RUNS/.code/HASH/orchestrator/node.py JOB_FOLDER ATTEMPT TOKEN
    python -I -S -u RUNS/.code/HASH/orchestrator/node.py ARRAY_FOLDER    which element: SLURM_ARRAY_TASK_ID

Slurm and the local scheduler start the same program, a copy of this file; the engines that it starts lie in the same copy. It needs
nothing but the job's folder, which is complete before anything is submitted, and it starts in milliseconds: few modules, of the
standard library only. Its output is the attempt's ``log.txt``.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time

TYPE_CHECKING = False  # and no pathlib, tempfile or socket: their import is half of what an empty job takes
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

    AnyPath = str | os.PathLike[str]

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
ERROR_LINE = r"error|exception|killed|no such file|not found|cannot|failed|denied|refused|out of memory|no space|stopped:"
"""What makes a log line a suspect; case does not count."""
LOG_TAIL_BYTES = 64_000
CONTINUES = 75
"""Exit code of a program that was asked to stop, has saved where it stands, and goes on from there when started again."""
REQUEUE_SECONDS = 60.0
"""Longest wait for scontrol."""
CODE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""The copy of the code that this attempt runs."""


def write_json(path: AnyPath, value: object) -> None:
    """Write JSON whole, by rename."""
    write_text(path, json.dumps(value, indent=1))


def write_text(path: AnyPath, text: str) -> None:
    """Write a file whole, by rename."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.tmp")
    with open(temporary, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read_json(path: AnyPath) -> dict[str, Any]:
    """A JSON document."""
    with open(path) as file:
        document: dict[str, Any] = json.load(file)
    return document


def process_fields(pid: int | str) -> list[str] | None:
    """What /proc/<pid>/stat tells after the name: state, parent, process group, session, ...; None if the process is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def process_start(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None if it is gone. Tells a process from a later one of the same pid."""
    fields = process_fields(pid)
    return None if fields is None or fields[0] in ("Z", "X") else fields[19]


def handles(pid: int, number: int) -> bool:
    """Whether a process has a handler of its own for a signal."""
    try:
        with open(f"/proc/{pid}/status") as file:
            caught = next(line for line in file if line.startswith("SigCgt:"))
    except (FileNotFoundError, ProcessLookupError):
        return False
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


PROCESS_GROUP, SESSION = 2, 3
"""Where /proc/<pid>/stat, counted after the name, tells them."""


def members(leader: int, field: int) -> list[int]:
    """The processes of a process group or session, its leader first."""
    found = [leader]
    for name in os.listdir("/proc"):
        if name.isdigit() and name != str(leader):
            fields = process_fields(name)
            if fields is not None and fields[field] == str(leader):
                found.append(int(name))
    return found


def oom_kills() -> int | None:
    """How many processes of this control group (version 2 or 1) the kernel has killed for want of memory; None: it does not say."""
    with open("/proc/self/cgroup") as file:
        groups = [line.strip().split(":", 2)[1:] for line in file]
    for controllers, path in groups:
        place = {"": f"/sys/fs/cgroup{path}/memory.events", "memory": f"/sys/fs/cgroup/memory{path}/memory.oom_control"}.get(controllers)
        if place is not None and os.path.exists(place):
            with open(place) as file:
                return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), None)
    return None


def claim(attempt: str, token: str, job_id: str) -> int | None:
    """Take the attempt for this job id. Returns how often this id had it before, or None if another id has it.

    The claim is one exclusive creation, by hard link so that it is atomic on NFS and never half written.
    """
    path = os.path.join(attempt, "claim.json")
    host = os.uname().nodename
    mine = {"token": token, "job_id": job_id, "host": host, "pid": os.getpid(), "start": process_start(os.getpid()),
            "started": time.time(), "restart": 0, "code": os.path.basename(CODE)}
    draft = os.path.join(attempt, f".claim.{host}.{os.getpid()}")
    with open(draft, "w") as file:
        file.write(json.dumps(mine))
    try:
        os.link(draft, path)
    except FileExistsError:
        held = read_json(path)
        if held["job_id"] != job_id:
            print(f"orch: job {held['job_id']} on {held['host']} has this attempt; {job_id} ends without work", flush=True)
            return None
        if held["host"] == host and held["start"] == process_start(held["pid"]):
            print(f"orch: process {held['pid']} already works on this attempt; this one ends without work", flush=True)
            return None
        # The scheduler started the same job again (requeue): it is ours to continue. What the time before left is kept.
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            os.link(os.path.join(attempt, "exit.json"), os.path.join(attempt, f"exit-{held['restart']}.json"))
        write_json(path, mine | {"restart": held["restart"] + 1})
        return int(held["restart"]) + 1
    finally:
        os.unlink(draft)
    return 0


def tail(path: AnyPath) -> list[bytes]:
    """The lines at the end of a file; none if it is not there."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_TAIL_BYTES))
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def error_line(log: AnyPath) -> str:
    """The line of a log that most likely says why a job died: the last one that looks like an error, else the last one."""
    import re

    lines = [line.decode(errors="replace").strip() for line in tail(log) if line.strip()]
    lines = [line for line in lines if not line.startswith("orch:")]
    suspects = [line for line in lines if re.search(ERROR_LINE, line, re.IGNORECASE)]
    # A traceback ends in "SomeError: what"; that line says more than a log message that merely holds the word.
    exceptions = [line for line in suspects if re.match(r"[\w.]*(Error|Exception|Interrupt|Exit)\b", line) or line.startswith("engines.")]
    chosen = (exceptions or suspects or lines)[-1:]
    return chosen[0][:300] if chosen else ""


def has_children() -> bool:
    """Whether a child lives. A look at every process of a node takes ten times as long as this question."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def die_with_parent() -> None:
    """In the child: be killed when this process is. An engine without its node process would write beside its successor."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def last_step(out: str) -> int | None:
    """The step of the last whole line of ``progress.jsonl``; None if there is none."""
    for line in reversed(tail(os.path.join(out, "progress.jsonl"))):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return int(json.loads(line)["step"])
    return None


@contextlib.contextmanager
def temporary_folder() -> Iterator[str]:
    """A folder for what libraries leave behind, removed at the end. Its path is short: Ray's sockets lie below."""
    base = os.environ.get("TMPDIR", "/tmp")  # noqa: S108  # the folder below has a random name and is ours alone
    path = os.path.join(base if os.path.isdir(base) else "/tmp", f"orch-{os.urandom(4).hex()}")  # noqa: S108
    os.mkdir(path, 0o700)
    try:
        yield path
    finally:
        try:
            os.rmdir(path)
        except OSError:  # something is in it
            import shutil

            shutil.rmtree(path, ignore_errors=True)


def own_id() -> str:
    """The scheduler's id of this job."""
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID") or os.environ.get("ORCH_JOB_ID") or f"pid-{os.getpid()}"


class Attempt:
    """One attempt at a job: its folder, its child process, the signals it received."""

    def __init__(self, folder: str, number: int, token: str) -> None:
        self.job = read_json(os.path.join(folder, "job.json"))
        self.folder = folder
        self.token = token
        self.path = os.path.join(folder, f"attempt-{number}")
        self.out = os.path.join(folder, "out")
        self.results = os.path.join(self.out, "results.json")
        self.job_id = own_id()
        self.child: subprocess.Popen[bytes] | None = None
        self.signals: list[str] = []
        self.unsent: list[int] = []
        self.started = time.time()
        self.first_step = last_step(self.out)
        self.oom_kills = oom_kills()

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
        return [name for name, folder in self.job["needs"].items() if not os.path.exists(os.path.join(folder, "out", "results.json"))
                and not os.path.exists(os.path.join(folder, "skipped.json"))]

    def command(self) -> list[str]:
        """What to run: the engine as a program, or the user's command."""
        wrap = json.loads(os.environ.get("ORCH_WRAP", "[]"))
        if self.job["command"] is not None:
            return [*wrap, *self.job["command"]]
        python, config = os.environ.get("ORCH_PYTHON") or sys.executable, os.path.join(self.folder, "config.json")
        return [*wrap, python, "-P", "-u", "-m", f"engines.{self.job['engine']}", config, "--out", self.out]

    def environment(self, temporary: str) -> dict[str, str]:
        """The program's environment: engines come from the copy, also in processes that they start; a command is told what it is."""
        own = {key: value for key, value in os.environ.items() if key not in ("ORCH_WRAP", "ORCH_PYTHON")} | {"TMPDIR": temporary}
        if self.job["command"] is None:
            return own | {"PYTHONPATH": os.pathsep.join(filter(None, [CODE, own.get("PYTHONPATH")]))}
        files = os.path.join(self.out, "files")
        os.makedirs(files, exist_ok=True)
        needs = {name: os.path.join(folder, "out", "files") for name, folder in self.job["needs"].items()}
        return own | {"ORCH_JOB": self.job["name"], "ORCH_OUT": files, "ORCH_NEEDS": json.dumps(needs),
                      "ORCH_AXES": json.dumps(self.job.get("axes", {})), "ORCH_RUN": os.path.dirname(os.path.dirname(self.folder)),
                      "ORCH_ATTEMPT": os.path.basename(self.path).removeprefix("attempt-")}

    def run(self) -> int:
        """Run to the end and return the exit code of the engine; a command's results are its exit code 0."""
        for number in FORWARDED:
            signal.signal(number, self.forward)
        ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: what the program leaves behind becomes a child of this process
        if os.path.exists(self.results):
            print("orch: the results are there: nothing to do", flush=True)
            return 0
        missing = self.missing_inputs()
        if missing:
            print(f"orch-error: needs the results of {', '.join(missing)}, which are not there", flush=True)
            return 1
        os.makedirs(self.out, exist_ok=True)
        if self.signals:
            return 1  # asked to stop before anything was started
        with temporary_folder() as temporary:
            try:
                self.child = subprocess.Popen(self.command(), cwd=self.job["cwd"], env=self.environment(temporary),
                                              stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent)
            except (OSError, ValueError) as error:  # not there, or an argument that no program takes
                print(f"orch-error: cannot start {self.command()[0]}: {error}", flush=True)
                return 127
            for early in self.unsent:
                self.send(self.child, early)
            code = self.child.wait()
            if has_children():
                for pid in members(self.child.pid, SESSION)[1:]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)  # what a crashed program left running would hold GPU and memory
        if code == 0 and self.job["command"] is not None:
            write_json(self.results, {
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
        results = os.path.exists(self.results)
        kills = oom_kills()
        write_json(os.path.join(self.path, "exit.json"), {
            "token": self.token, "job_id": self.job_id, "pid": os.getpid(), "exit_code": code,
            "host": os.environ.get("SLURMD_NODENAME") or os.uname().nodename,
            "started": self.started, "ended": time.time(), "results": results, "signals": self.signals, "restart": restart,
            "requeued": requeued, "resources": self.job.get("resources"),
            "oom_kills": None if kills is None or self.oom_kills is None else kills - self.oom_kills,
            "reason": "" if results else error_line(os.path.join(self.path, "log.txt")).removeprefix("orch-error: ")})
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


def arguments() -> tuple[str, int, str]:
    """Job folder, attempt and token from the command line; of an array from its list of members."""
    if len(sys.argv) > 2:
        return sys.argv[1], int(sys.argv[2]), sys.argv[3]
    array, index = sys.argv[1], os.environ["SLURM_ARRAY_TASK_ID"]
    folder, number = read_json(os.path.join(array, "members.json"))[index]
    return folder, number, f"{os.path.basename(array)}_{index}"


def main() -> int:
    """Run one attempt. Exit code 0: results are there, or another job has the attempt; else the engine's, at least 1."""
    attempt = Attempt(*arguments())
    restart = claim(attempt.path, attempt.token, attempt.job_id)
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
