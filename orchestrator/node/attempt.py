"""Run one attempt at a job on the node: claim it, run its engine as a child process, pass signals
on, leave an exit record.

In: the job's folder, which is complete before anything is submitted, and the number and token of
the attempt. Out: ``claim.json`` and ``exit.json`` in the attempt's folder; what the engine writes;
an exit code. Called by ``orchestrator/node/__main__.py``, and by ``pack.py`` for each member.

Slurm and the local scheduler start the same program, a copy of this package; the engines that it
starts lie in that copy. It starts with every job and is ready in milliseconds: few modules, of
the standard library alone. Its output is the attempt's ``log.txt``.
"""

from __future__ import annotations

import os
import sys
import time

from orchestrator.node import reading
from orchestrator.node.claims import claim, fit_to_show, lost_too_often, put, release, reserve
from orchestrator.node.cost import write_cost
from orchestrator.node.light.forms import read_job
from orchestrator.node.light.standard import NAMES, loads, signal, suppress
from orchestrator.node.reuse import evidence
from orchestrator.node.start import popen, words_of
from orchestrator.node.system import (
    CANCEL,
    CODE,
    CONTINUES,
    PROCESS_GROUP,
    TemporaryFolder,
    adopt_orphans,
    children,
    end_orphans,
    end_session,
    error_line,
    handles,
    last_step,
    members,
    own_id,
)
from orchestrator.node.tracking.follower import Follower
from orchestrator.node.tracking.variables import with_trackers
from orchestrator.node.usage import gpu_use, oom_kills, oom_kills_since, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from orchestrator.node.several.lead import Nodes
    from orchestrator.node.start import Child

IMPORTABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "importable")
"""The folder of the one module that a user's script may import."""
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
GPU_SECONDS = 60.0
"""Between two looks at the GPUs of a job."""
NODE_FAIL = "NODE_FAIL"
"""State that it names where the scheduler would go on starting it after lost starts."""
CANCELLED = "CANCELLED"
"""State that an exit record names where no scheduler can: what the job needs is not there, or it
alone of its pack was cancelled."""


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
        self.job = read_job(os.path.join(folder, "job.json"))
        self.folder = folder
        self.token = token
        self.start = start
        self.neighbours = neighbours
        self.can_measure = True
        self.path = os.path.join(folder, f"attempt-{number}")
        self.log = os.path.join(self.path, "log.txt")
        self.out = os.path.join(folder, "out")
        self.results = os.path.join(self.out, "results.json")
        self.job_id, self.restart = own_id(), 0
        self.asked_again = os.path.join(self.path, "again")
        self.child: Child | None = None
        self.nodes: Nodes | None = None
        self.follower: Follower | None = None
        self.signals: list[str] = []
        self.unsent: list[int] = []
        self.state = ""
        self.started, self.began = time.time(), time.monotonic()
        self.first_step = last_step(self.out)
        self.oom_kills = oom_kills()
        self.checkpoints: list[dict[str, Any]] = []
        self.gpu_uses: list[tuple[float, float]] = []

    def watch_gpus(self) -> None:
        """Measure from now on how busy the GPUs are, if the job has any."""
        if (self.job.get("resources") or {}).get("gpus"):
            signal.signal(signal.SIGALRM, self.look_at_gpus)
            signal.setitimer(signal.ITIMER_REAL, GPU_SECONDS)

    def look_at_gpus(self, _number: int, _frame: FrameType | None) -> None:
        """Note how busy the GPUs are, again after a while."""
        use = gpu_use()
        if use is not None:
            self.gpu_uses.append(use)
            signal.setitimer(signal.ITIMER_REAL, GPU_SECONDS)

    def forward(self, number: int, _frame: FrameType | None) -> None:
        """Pass a signal on; the wait in ``run_program`` goes on."""
        self.signals.append(NAMES[number])
        if self.child is None:
            # The child may be starting at this moment: it gets it as soon as it is there.
            self.unsent.append(number)
        else:
            self.send(self.child, number)

    def send(self, child: Child, number: int) -> None:
        """Signal the child, unless it has ended."""
        if child.poll() is not None:
            return
        if self.nodes is not None:
            self.nodes.tell(child.pid, number)
            return
        # An engine saves its state with the help of its own children, so only the engine itself is
        # told. A command may be a shell that passes nothing on, so its whole group is.
        engine = self.job["command"] is None
        if number == signal.SIGUSR2:
            # A warning: a program without a handler would die of it, minutes before its time is up.
            for pid in [child.pid] if engine else members(child.pid, PROCESS_GROUP):
                if handles(pid, number):
                    with suppress(ProcessLookupError):
                        os.kill(pid, number)
            return
        # It may end at this moment; the wait that this signal interrupts has taken note then.
        with suppress(ProcessLookupError):
            if engine:
                os.kill(child.pid, number)
            else:
                os.killpg(child.pid, number)

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
        """What to run: the engine as a program, or the user's command; in a container where the
        profile wraps it."""
        wrap = loads(os.environ.get("ORCH_WRAP", "[]"))
        if self.job["command"] is not None:
            path = self.checkpoints[0]["path"] if self.checkpoints else ""
            return [*wrap, *words_of(self.job, self.out, path)]
        python = os.environ.get("ORCH_PYTHON") or sys.executable
        engine = self.job["engine"]  # one of the user's own is a file and a function in it
        program = ["engines.contract.own", engine] if ":" in engine else [f"engines.{engine}"]
        config = os.path.join(self.folder, "config.json")
        # -P: no file in the working folder may hide a module of the same name. utf8: whatever the
        # locale here, files are read as they were written.
        options = ["-P", "-u", "-X", "utf8"]
        return [*wrap, python, *options, "-m", *program, config, "--out", self.out]

    def environment(self, temporary: str) -> dict[str, str]:
        """The program's environment: engines come from the copy, also in processes that they start;
        a command is told what it is."""
        environment = dict(os.environ)
        environment.pop("ORCH_WRAP", None)
        environment.pop("ORCH_PYTHON", None)
        environment["TMPDIR"] = temporary
        if self.job["command"] is None:
            given = environment.get("PYTHONPATH")
            environment["PYTHONPATH"] = f"{CODE}{os.pathsep}{given}" if given else CODE
        else:
            # Our own programs must not import what lies in the folder they start in. A user's
            # `python train.py` must: it finds the modules that lie beside it as ever.
            environment.pop("PYTHONSAFEPATH", None)
            # `import orch` in a script, whatever environment it runs in; behind what the user has.
            given = environment.get("PYTHONPATH")
            environment["PYTHONPATH"] = f"{given}{os.pathsep}{IMPORTABLE}" if given else IMPORTABLE
            # What a script prints is in its log at once, also if it is killed.
            environment.setdefault("PYTHONUNBUFFERED", "1")
            environment.update(self.variables_of_a_command())
        return with_trackers(environment, self.folder, self.job)

    def variables_of_a_command(self) -> dict[str, str]:
        """Environment variables for a user's command."""
        from orchestrator.node.own_results import open_doors, told

        open_doors(self.out)
        if self.job.get("reads"):
            reading.prepare(self.out)
        return told(self.folder, os.path.basename(self.path), self.job, self.checkpoints)

    def work(self) -> tuple[int, bool]:
        """Claim the attempt and run it. Returns the exit code, 0 also if another job has it, and
        whether it is to be started again."""
        for number in FORWARDED:
            signal.signal(number, self.forward)
        # A pack starts its members with these held back.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        restart = claim(self.path, self.token, self.job_id, self.neighbours)
        if restart is None:
            return 0, False
        self.restart = restart
        reason = lost_too_often(self.path, restart, self.job.get("lost_at_most"))
        if reason and not os.path.exists(self.results):
            print(f"orch-error: {reason}", flush=True)
            self.state = NODE_FAIL
            self.write_exit_record(1, False, reason)
            release(self.path)
            return 1, False
        reserve(self.path)
        # `orch.requeue()` leaves it, because some launchers change exit codes.
        with suppress(FileNotFoundError):
            os.unlink(self.asked_again)
        return self.end(self.run())

    def end(self, code: int) -> tuple[int, bool]:
        """Leave the exit record of a run that has ended with this code; returns as ``work``."""
        again = self.should_requeue(code)
        # Results count more than the exit code: a crash may come after they were written.
        ended_well = self.write_exit_record(code, again)
        release(self.path)
        if ended_well:
            return 0, False
        return (code if code > 0 else 1), again

    def run(self) -> int:
        """Run to the end and return the exit code of the engine; a command's results are its exit
        code 0."""
        adopt_orphans()
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
        if self.job.get("checkpoints"):
            from orchestrator.node.own_results import selected_checkpoints

            try:
                self.checkpoints = selected_checkpoints(self.job["checkpoints"])
            except ValueError as error:
                print(f"orch-error: {error}", flush=True)
                return 1
        os.makedirs(self.out, exist_ok=True)
        # If this node is lost, whoever reads the cost sees that a start has left no exit record.
        write_cost(self.folder, self.out, self.job.get("resources"))
        if self.signals:
            return 1  # asked to stop before anything was started
        with TemporaryFolder() as temporary:
            code = self.run_program(temporary)
        if code == 0 and self.job["command"] is not None:
            self.write_results_of_a_command()
        return code

    def run_program(self, temporary: str) -> int:
        """Start the program and wait for its end; its exit code, or 127 if it cannot be started."""
        command, environment = self.command(), self.environment(temporary)
        start = self.start
        self.follower = Follower(self.folder, self.job)
        if self.several():
            from orchestrator.node.several.lead import Nodes

            name = f"{self.job_id}-{self.restart}"
            self.nodes = nodes = Nodes(self.path, name, self.job["resources"])
            command, environment = nodes.command(command), nodes.environment(environment)
            start = nodes.start
        evidence.note_changed(self.path)
        spared = children()  # of the profile's `setup`
        try:
            child = start(command, self.job["cwd"], environment)
        except (OSError, ValueError) as error:
            # It is not there, or has an argument that no program takes.
            print(f"orch-error: cannot start {command[0]}: {error}", flush=True)
            return 127
        self.child = child
        reader = reading.start(self.folder) if self.job.get("reads") else None
        self.follower.start(command, self.job["cwd"], environment)
        self.watch_gpus()
        for early in self.unsent:
            self.send(child, early)
        code = child.wait()
        signal.setitimer(signal.ITIMER_REAL, 0)
        end_session(child.pid)
        end_orphans([*spared, *self.follower.pids(), *([reader.pid] if reader else [])])
        # Also of one that was stopped: whether it is started again goes by its progress.
        reading.finish(reader)
        self.follower.finish(code, self.signals)
        if self.nodes is not None:
            code = self.nodes.outcome(code)
        return CONTINUES if code and os.path.exists(self.asked_again) else code

    def several(self) -> bool:
        """Whether the program is to be started on several nodes: engines take one."""
        count = (self.job.get("resources") or {}).get("nodes", 1)
        return count > 1 and self.job["command"] is not None and "SLURM_JOB_ID" in os.environ

    def write_results_of_a_command(self) -> None:
        """The results that a command need not write by itself: that it has ended well, with the
        rows that it has left."""
        rows, problems = reading.rows_of_a_command(self.out, self.job)
        for problem in problems:
            print(f"orch: {problem}", flush=True)
        put(
            self.path,
            self.results,
            {
                "schema": 1,
                "engine": "command",
                "config": {},
                "rows": rows,
                "seconds": time.monotonic() - self.began,
                "facts": reading.facts_of(self.job, self.checkpoints, problems),
            },
        )

    def should_requeue(self, code: int) -> bool:
        """Whether the scheduler should start this job again: it was warned, saved its state, and
        came further than the time before, or else the chain of restarts would never end."""
        # SIGTERM: a person or Slurm ends it, and decides whether it is started again.
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

    def write_exit_record(self, code: int, requeued: bool, reason: str = "") -> bool:
        """Write ``exit.json``; returns whether the results are there."""
        results = os.path.exists(self.results)
        if not results and os.path.exists(os.path.join(self.path, CANCEL)):
            self.state, reason = CANCELLED, "cancelled"
        if not results:
            reason = reason or error_line(self.log, bool(self.signals) and not requeued)
            reason = fit_to_show(self.path, reason, code)
        evidence.note_end(self.path, self.out, self.token if results else "")
        measured = usage(self.gpu_uses, alone=not self.neighbours) if self.can_measure else None
        put(
            self.path,
            os.path.join(self.path, "exit.json"),
            {
                "token": self.token,
                "job_id": self.job_id,
                "pid": os.getpid(),
                "exit_code": code,
                # Slurm's name of the node, which a retry gives to sbatch --exclude.
                "host": os.environ.get("SLURMD_NODENAME") or os.uname().nodename,
                "started": self.started,
                "ended": time.time(),
                "seconds": time.monotonic() - self.began,
                "results": results,
                "signals": self.signals,
                "restart": self.restart,
                "requeued": requeued,
                "resources": self.job.get("resources"),
                "state": "" if results else self.state,
                "usage": measured,
                "neighbours": self.neighbours,
                "oom_kills": oom_kills_since(self.oom_kills, self.neighbours, code),
                "reason": "" if results else reason,
                **(self.follower.facts() if self.follower is not None else {}),
                **(self.nodes.facts() if self.nodes is not None else {}),
            },
        )
        if os.path.isdir(self.out):
            write_cost(self.folder, self.out, self.job.get("resources"))
        return results
