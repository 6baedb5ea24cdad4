"""The start of a command on several nodes, seen from the batch script on the first of them.

In: what Attempt (orchestrator/node/attempt.py) would start on one node. Out: the srun that starts
it on each, what signals reach it, and when it has ended whose exit code counts: that of the process
that died first, by the nodes' own records. Called by Attempt alone, and imported only where a job
asks for several nodes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

from orchestrator.node.several.first_death import (
    Death,
    first_by_records,
    first_by_srun,
    has_lost_connection,
)
from orchestrator.node.slurm.environment import environment_of
from orchestrator.node.start import popen
from orchestrator.node.system import CONTINUES, error_in, read_json, tail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orchestrator.node.start import Child

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "one_node.py")
LINES_SHOWN = 80
"""Of the log of the node that died first, in the log of the attempt. torchrun's own account of a
death, which comes after the program's, has about 40."""


class Nodes:
    """The nodes of one start of an attempt."""

    def __init__(self, attempt: str, name: str, resources: Mapping[str, int]) -> None:
        """``name``: of the start, with the job's id and how often it was started again."""
        self.attempt = attempt
        self.count = resources["nodes"]
        self.cpus = resources["cpus"]
        self.name = name
        self.folder = os.path.join(attempt, "nodes", name)
        self.log = os.path.join(attempt, "log.txt")
        self.began = ""
        self.death: Death | None = None
        os.makedirs(self.folder, exist_ok=True)

    def command(self, program: list[str]) -> list[str]:
        """The srun that starts the program once on each node."""
        where = os.environ.get("SLURM_JOB_NODELIST", "")
        self.began = f"orch: start {self.name} on {self.count} nodes: {where}"
        others = os.path.join(self.folder, "<node>.log")
        print(f"{self.began}\norch: node 0 writes here, the others into {others}", flush=True)
        return [
            "srun",
            # All three: one of them alone may lose against what the job asked for.
            f"--nodes={self.count}",
            f"--ntasks={self.count}",
            "--ntasks-per-node=1",
            # srun does not take it from the job by itself.
            f"--cpus-per-task={os.environ.get('SLURM_CPUS_PER_TASK') or self.cpus}",
            # By default srun waits for the others for ever when one has died.
            "--kill-on-bad-exit=1",
            # A process that still saves when another has ended well is not killed.
            "--wait=0",
            # A site's default may be a PMI library that is not there, and torch needs none.
            "--mpi=none",
            # Else it would wait for a step that is just being cleaned up.
            "--overlap",
            "--export=ALL",
            "--unbuffered",
            sys.executable,
            "-I",
            "-S",
            "-u",
            PROGRAM,
            self.folder,
            *program,
        ]

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The command's environment without what holds on this node alone."""
        kept = environment_of("srun", environment)
        # The folder for temporary files that was made here is not there on the other nodes; each
        # makes its own.
        kept.pop("TMPDIR", None)
        return kept if "TMPDIR" not in os.environ else {**kept, "TMPDIR": os.environ["TMPDIR"]}

    def start(self, command: list[str], cwd: str, environment: dict[str, str]) -> Child:
        """Start srun with SIGUSR2 held back, so that it does not die of one that comes before it
        listens."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        try:
            return popen(command, cwd, environment)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})

    def tell(self, pid: int, number: int) -> None:
        """Pass a signal on to srun, and with it to all nodes, or say what is known so far."""
        if number == signal.SIGUSR2:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            return
        # Slurm has sent SIGTERM to every process on every node already. srun takes one from us as
        # the order to kill them all at once. SIGKILL may come before srun has ended, so what is
        # known is written now; os.write, because print may be at work below this handler.
        ended = [one for one in self.records() if one["ended"] is not None]
        said = f"{self.count - len(ended)} of {self.count} nodes have not ended"
        if death := self.first_death():
            said = str(death)
        os.write(1, f"orch: {signal.Signals(number).name}: {said}\n".encode())

    def outcome(self, code: int) -> int:
        """The exit code of the start, from srun's; prints who died first."""
        records = self.records()
        self.death = self.first_death() if code else None
        if self.death is not None:
            saved = any(one["exit_code"] == CONTINUES for one in records)
            if saved and self.death.rank in self.without_connection():
                self.death = None
                return CONTINUES  # it missed the one that had saved and left
            self.show_death(self.death)
            return self.death.exit_code
        if code and not records:
            said = error_in(self.own_lines())
            print(
                f"orch-error: srun could not start the command on {self.count} nodes: {said}",
                flush=True,
            )
        if not code and any(one["exit_code"] == CONTINUES for one in records):
            return CONTINUES
        return code

    def first_death(self) -> Death | None:
        """Who died first, as far as is known now."""
        well = (0, CONTINUES)
        by_records = first_by_records(self.records(), self.without_connection(), well)
        if by_records is not None:
            return by_records
        if any("SIGTERM" in one["signals"] for one in self.records()):
            # Cancelled from outside: srun tells of all of them, and none is the cause. But a node
            # that is lost makes Slurm end the others.
            lost = first_by_srun(line for line in self.own_lines() if "Node failure on" in line)
            return lost if lost else self.silent_death()
        return first_by_srun(self.own_lines())

    def silent_death(self) -> Death | None:
        """One that left no record because it was killed with its recorder: srun's first line, if it
        is of a node that has no end in its record and was told nothing."""
        found = first_by_srun(self.own_lines())
        if found is None:
            return None
        told = {one["rank"] for one in self.records() if one["signals"] or one["ended"]}
        return None if found.rank in told else found

    def records(self) -> list[dict[str, Any]]:
        """What the nodes have left of this start."""
        found = []
        for rank in range(self.count):
            with contextlib.suppress(FileNotFoundError, ValueError):
                found.append(read_json(os.path.join(self.folder, f"{rank}.json")))
        return found

    def log_of(self, rank: int) -> str:
        """The file that a node's output is in."""
        own = os.path.join(self.folder, f"{rank}.log")
        return own if rank > 0 and os.path.exists(own) else self.log

    def own_lines(self) -> list[str]:
        """The end of the attempt's log, from the beginning of this start."""
        lines = [line.decode(errors="replace").strip() for line in tail(self.log)]
        return lines[lines.index(self.began) + 1 :] if self.began in lines else lines

    def lines_of(self, rank: int) -> list[str]:
        """The last lines that a node itself has written."""
        path = self.log_of(rank)
        if path == self.log:
            return [line for line in self.own_lines() if not line.startswith(("srun: ", "orch: "))]
        return [line.decode(errors="replace").strip() for line in tail(path)]

    def without_connection(self) -> set[int]:
        """The nodes whose logs end with a lost connection."""
        return {
            rank
            for rank in range(self.count)
            if has_lost_connection(self.lines_of(rank)[-LINES_SHOWN:])
        }

    def show_death(self, death: Death) -> None:
        """Say who died first, with the end of its log where that is another file."""
        path = self.log_of(death.rank)
        if path == self.log:
            print(f"orch: {death}", flush=True)
            return
        print(f"orch: {death}; its log, {path}, ends:", flush=True)
        for line in tail(path)[-LINES_SHOWN:]:
            print(line.decode(errors="replace"), flush=True)

    def facts(self) -> dict[str, Any]:
        """What the exit record says of several nodes, in place of what one node says of itself."""
        records = self.records()
        said: dict[str, Any] = {}
        used = [one["usage"] for one in records if one.get("usage")]
        if used:
            largest = max(used, key=lambda one: float(one["memory_gb"]))
            seconds = sum(one["cpu_seconds"] for one in used)
            said["usage"] = {**largest, "cpu_seconds": seconds}
        if self.death is not None:
            said |= self.facts_of_death(self.death, records)
        return said

    def facts_of_death(self, death: Death, records: list[dict[str, Any]]) -> dict[str, Any]:
        """What it says of the one that died first."""
        kills = [one.get("oom_kills") for one in records if one["rank"] == death.rank]
        line = error_in(self.lines_of(death.rank)).removeprefix("orch-error: ")
        return {
            # The one that a retry leaves out where the node is the cause.
            "host": death.host,
            "reason": f"{death}: {line}" if line else str(death),
            "oom_kills": kills[0] if kills else None,
            "died_first": {
                "node": death.rank if death.rank >= 0 else None,
                "log": os.path.relpath(self.log_of(death.rank), self.attempt),
            },
        }
