"""On the node: claim the job, run its engine as a child process, pass signals on, leave an exit
record.

Slurm and the local scheduler start the same program, a copy of this file and of those it imports;
the engines that it starts lie in the same copy. It needs nothing but the job's folder, which is
complete before anything is submitted, and it starts in milliseconds: few modules, of the standard
library only. Its output is the attempt's ``log.txt``. Several jobs in one allocation:
``orchestrator/node/pack.py``, which only they import.
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

from orchestrator.node.cost import write_cost
from orchestrator.node.system import (
    CANCEL,
    CODE,
    CONTINUES,
    PROCESS_GROUP,
    SESSION,
    claim_of,
    die_with_parent,
    error_line,
    gpu_use,
    handles,
    has_children,
    last_step,
    members,
    oom_kills,
    own_id,
    process_start,
    read_json,
    take,
    temporary_folder,
    usage,
    write_json,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Protocol

    class Child(Protocol):
        """A process that was started for an attempt."""

        pid: int

        def poll(self) -> int | None:
            """The exit code; None while it runs."""

        def wait(self) -> int:
            """Wait for its end; the exit code."""


Entry = tuple[str, int, str]
"""Job folder, attempt, token."""


FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)


GPU_SECONDS = 60.0
"""Between two looks at the GPUs of a job."""


CANCELLED = "CANCELLED"
"""State that an exit record names where no scheduler can: what the job needs is not there, or it
alone of its pack was cancelled."""


def claim(attempt: str, token: str, job_id: str, neighbours: int = 0) -> int | None:
    """Take the attempt for this job id. Returns how often this id had it before, or None if another
    id has it."""
    mine = claim_of(token, job_id) | {"neighbours": neighbours}
    if take(attempt, mine):
        return 0
    path = os.path.join(attempt, "claim.json")
    held = read_json(path)
    if held["job_id"] != job_id:
        print(
            f"orch: job {held['job_id']} on {held['host']} has this attempt; {job_id} "
            "ends without work",
            flush=True,
        )
        return None
    if held["host"] == mine["host"] and held["start"] == process_start(held["pid"]):
        print(
            f"orch: process {held['pid']} already works on this attempt; this one ends "
            "without work",
            flush=True,
        )
        return None
    # The scheduler started the same job again (requeue): it is ours to continue. What the time
    # before left is kept.
    with contextlib.suppress(FileNotFoundError, FileExistsError):
        os.link(
            os.path.join(attempt, "exit.json"),
            os.path.join(attempt, f"exit-{held['restart']}.json"),
        )
    write_json(path, mine | {"restart": held["restart"] + 1})
    return int(held["restart"]) + 1


def popen(command: list[str], cwd: str, environment: dict[str, str]) -> Child:
    """Start a program in a session of its own."""
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )


class Attempt:
    """One attempt at a job: its folder, its child process, the signals it received."""

    def __init__(
        self,
        folder: str,
        number: int,
        token: str,
        start: Callable[[list[str], str, dict[str, str]], Child] = popen,
        neighbours: int = 0,
    ) -> None:
        self.job = read_json(os.path.join(folder, "job.json"))
        self.folder = folder
        self.token = token
        self.start = start
        self.neighbours = neighbours
        self.measured = True
        self.path = os.path.join(folder, f"attempt-{number}")
        self.log = os.path.join(self.path, "log.txt")
        self.out = os.path.join(folder, "out")
        self.results = os.path.join(self.out, "results.json")
        self.job_id = own_id()
        self.restart = 0
        self.child: Child | None = None
        self.signals: list[str] = []
        self.unsent: list[int] = []
        self.state = ""
        self.started = time.time()
        self.first_step = last_step(self.out)
        self.oom_kills = oom_kills()
        self.gpu_uses: list[tuple[float, float]] = []

    def look_at_gpus(self, _number: int, _frame: FrameType | None) -> None:
        """Note how busy the GPUs are, again after a while."""
        if (use := gpu_use()) is not None:
            self.gpu_uses.append(use)
            signal.setitimer(signal.ITIMER_REAL, GPU_SECONDS)

    def forward(self, number: int, _frame: FrameType | None) -> None:
        """Pass a signal on; the wait in ``run`` goes on."""
        self.signals.append(signal.Signals(number).name)
        if self.child is None:
            self.unsent.append(
                number
            )  # the child may be starting at this moment: it gets it as soon as it is there
        else:
            self.send(self.child, number)

    def send(self, child: Child, number: int) -> None:
        """Signal the child, unless it has ended."""
        if child.poll() is not None:
            return
        # An engine saves its state with the help of its own children, so only the engine itself is
        # told. A command may be a shell that passes nothing on. SIGUSR2 is a warning: a program
        # without a handler would die of it, minutes before its time is up.
        engine = self.job["command"] is None
        if number == signal.SIGUSR2:
            for pid in [child.pid] if engine else members(child.pid, PROCESS_GROUP):
                if handles(pid, number):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
        else:
            with contextlib.suppress(
                ProcessLookupError
            ):  # ended at this moment, and the wait that this signal interrupts has taken note
                (os.kill if engine else os.killpg)(child.pid, number)

    def missing_inputs(self) -> list[str]:
        """Jobs this one needs whose results are not there; a job that a gate skipped leaves
        none."""
        return [
            name
            for name, folder in self.job["needs"].items()
            if not os.path.exists(os.path.join(folder, "out", "results.json"))
            and not os.path.exists(os.path.join(folder, "skipped.json"))
        ]

    def command(self) -> list[str]:
        """What to run: the engine as a program, or the user's command."""
        wrap = json.loads(os.environ.get("ORCH_WRAP", "[]"))
        if self.job["command"] is not None:
            return [*wrap, *self.job["command"]]
        python, config = (
            os.environ.get("ORCH_PYTHON") or sys.executable,
            os.path.join(self.folder, "config.json"),
        )
        return [
            *wrap,
            python,
            "-P",
            "-u",
            "-m",
            f"engines.{self.job['engine']}",
            config,
            "--out",
            self.out,
        ]

    def environment(self, temporary: str) -> dict[str, str]:
        """The program's environment: engines come from the copy, also in processes that they start;
        a command is told what it is."""
        own = {
            key: value
            for key, value in os.environ.items()
            if key not in ("ORCH_WRAP", "ORCH_PYTHON")
        } | {"TMPDIR": temporary}
        if self.job["command"] is None:
            return own | {
                "PYTHONPATH": os.pathsep.join(filter(None, [CODE, own.get("PYTHONPATH")]))
            }
        files = os.path.join(self.out, "files")
        os.makedirs(files, exist_ok=True)
        needs = {
            name: os.path.join(folder, "out", "files") for name, folder in self.job["needs"].items()
        }
        return own | {
            "ORCH_JOB": self.job["name"],
            "ORCH_OUT": files,
            "ORCH_NEEDS": json.dumps(needs),
            "ORCH_AXES": json.dumps(self.job.get("axes", {})),
            "ORCH_RUN": os.path.dirname(os.path.dirname(self.folder)),
            "ORCH_ATTEMPT": os.path.basename(self.path).removeprefix("attempt-"),
        }

    def work(self) -> tuple[int, bool]:
        """Claim the attempt and run it. Returns the exit code, 0 also if another job has it, and
        whether it is to be started again."""
        for number in FORWARDED:
            signal.signal(number, self.forward)
        signal.pthread_sigmask(
            signal.SIG_UNBLOCK, FORWARDED
        )  # a pack starts its members with these held back
        restart = claim(self.path, self.token, self.job_id, self.neighbours)
        if restart is None:
            return 0, False
        self.restart = restart
        code = self.run()
        again = self.goes_on(code)
        if self.leave(code, again):
            return 0, False
        return (code if code > 0 else 1), again

    def run(self) -> int:
        """Run to the end and return the exit code of the engine; a command's results are its exit
        code 0."""
        ctypes.CDLL(None).prctl(
            36, 1
        )  # PR_SET_CHILD_SUBREAPER: what the program leaves behind becomes a child of this process
        if os.path.exists(self.results):
            print("orch: the results are there: nothing to do", flush=True)
            return 0
        missing = self.missing_inputs()
        if missing:
            print(
                f"orch-error: needs the results of {', '.join(missing)}, which are not there",
                flush=True,
            )
            self.state = CANCELLED
            return 1
        os.makedirs(self.out, exist_ok=True)
        # If this node is lost, whoever reads the cost sees that a start has left no exit record.
        write_cost(self.folder, self.out, self.job.get("resources"))
        if self.signals:
            return 1  # asked to stop before anything was started
        with temporary_folder() as temporary:
            try:
                self.child = self.start(
                    self.command(), self.job["cwd"], self.environment(temporary)
                )
            except (
                OSError,
                ValueError,
            ) as error:  # not there, or an argument that no program takes
                print(f"orch-error: cannot start {self.command()[0]}: {error}", flush=True)
                return 127
            if (self.job.get("resources") or {}).get("gpus"):
                signal.signal(signal.SIGALRM, self.look_at_gpus)
                signal.setitimer(signal.ITIMER_REAL, GPU_SECONDS)
            for early in self.unsent:
                self.send(self.child, early)
            code = self.child.wait()
            signal.setitimer(signal.ITIMER_REAL, 0)
            if has_children():
                for pid in members(self.child.pid, SESSION)[1:]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(
                            pid, signal.SIGKILL
                        )  # what a crashed program left running would hold GPU and memory
        if code == 0 and self.job["command"] is not None:
            write_json(
                self.results,
                {
                    "schema": 1,
                    "engine": "command",
                    "config": {},
                    "rows": [],
                    "seconds": time.time() - self.started,
                    "facts": {"command": self.job["command"]},
                },
            )
        return code

    def goes_on(self, code: int) -> bool:
        """Whether the scheduler should start this job again: it was warned, saved its state, and
        came further than the time before.

        The last condition ends a chain of restarts that would never reach the end, such as a step
        longer than the time limit.
        """
        if code != CONTINUES or "SIGUSR2" not in self.signals or "SIGTERM" in self.signals:
            return False
        step = last_step(self.out)
        if step is None or self.first_step is None or step > self.first_step:
            return True
        print(
            f"orch-error: stopped at the time limit at step {step}, where it had started: "
            "not requeued; ask for more minutes",
            flush=True,
        )
        return False

    def leave(self, code: int, requeued: bool, reason: str = "") -> bool:
        """Write the exit record; returns whether the results are there."""
        results = os.path.exists(self.results)
        kills = oom_kills()
        if self.neighbours and code not in (-signal.SIGKILL, 128 + signal.SIGKILL):
            kills = self.oom_kills  # whom the kernel killed was a neighbour
        if not results and os.path.exists(os.path.join(self.path, CANCEL)):
            self.state, reason = CANCELLED, "cancelled"
        write_json(
            os.path.join(self.path, "exit.json"),
            {
                "token": self.token,
                "job_id": self.job_id,
                "pid": os.getpid(),
                "exit_code": code,
                "host": os.environ.get("SLURMD_NODENAME") or os.uname().nodename,
                "started": self.started,
                "ended": time.time(),
                "results": results,
                "signals": self.signals,
                "restart": self.restart,
                "requeued": requeued,
                "resources": self.job.get("resources"),
                "state": "" if results else self.state,
                "usage": usage(self.gpu_uses, alone=not self.neighbours) if self.measured else None,
                "neighbours": self.neighbours,
                "oom_kills": None
                if kills is None or self.oom_kills is None
                else kills - self.oom_kills,
                "reason": ""
                if results
                else reason or error_line(self.log).removeprefix("orch-error: "),
            },
        )
        if os.path.isdir(self.out):
            write_cost(self.folder, self.out, self.job.get("resources"))
        return results
