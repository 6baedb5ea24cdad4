"""Run a user's command on one of several nodes, and leave a record of how it went.

    python -I -S -u .../orchestrator/node/several/one_node.py FOLDER COMMAND [ARGUMENT ...]

srun starts it once on every node (lead.py). In: the folder of this start, and the environment of
the command. Out: ``<rank>.json`` in the folder, written at the beginning, at every signal and at
the end; ``<rank>.log``, but for node 0, whose output goes through srun into the log of the attempt;
the exit code. The command knows its rank and where node 0 is by the variables that torch's
``env://``, torchrun and accelerate read.

A signal of Slurm reaches every process of every node by itself, so nothing is passed on here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

if __name__ == "__main__":  # started by its path, without site and without the folder it lies in
    code = os.path.abspath(__file__)
    for _ in range(4):
        code = os.path.dirname(code)
    sys.path[:0] = [code]

from orchestrator.node.several.rendezvous import Meeting, RendezvousError, meet
from orchestrator.node.system import (
    CONTINUES,
    TemporaryFolder,
    adopt_orphans,
    die_with_parent,
    end_orphans,
    end_session,
    write_json,
)
from orchestrator.node.usage import oom_kills, oom_kills_since, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

NOTED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
IDS = ("WANDB_RUN_ID", "WANDB_RESUME", "MLFLOW_RUN_ID")
SHUTDOWN_SECONDS = 10
"""How long torchrun waits for its workers after SIGTERM: less than Slurm's KillWait, of 30 s where
the site has not changed it. torchrun's own is 30 s."""


class OneNode:
    """One node of a command's start: its record and its child process."""

    def __init__(self, folder: str, rank: int, count: int) -> None:
        self.folder = folder
        self.rank = rank
        self.count = count
        self.child: subprocess.Popen[bytes] | None = None
        self.oom_kills = oom_kills()
        self.record: dict[str, Any] = {
            "rank": rank,
            # Slurm's name, which a retry gives to sbatch --exclude.
            "host": os.environ.get("SLURMD_NODENAME") or os.uname().nodename,
            "pid": os.getpid(),
            "started": time.time(),
            "ended": None,
            "exit_code": None,
            "signals": {},
        }

    def write(self) -> None:
        """Leave the record as it is now."""
        write_json(os.path.join(self.folder, f"{self.rank}.json"), self.record)

    def note(self, number: int, _frame: FrameType | None) -> None:
        """Note a signal at once: SIGKILL may follow before the command has ended."""
        self.record["signals"].setdefault(signal.Signals(number).name, time.time())
        self.write()
        if self.child is None and number != signal.SIGUSR2:
            sys.exit(128 + number)

    def run(self, command: list[str]) -> int:
        """Run the command to its end; returns the exit code for srun."""
        for number in NOTED:
            signal.signal(number, self.note)
        self.write()
        try:
            meeting = meet(self.folder, self.rank, self.count)
            with TemporaryFolder() as temporary:
                exit_code = self.run_command(command, meeting, temporary)
        except RendezvousError as error:
            print(f"orch-error: node {self.rank} ({self.record['host']}): {error}", flush=True)
            exit_code = 1
        except (OSError, ValueError) as error:
            print(f"orch-error: cannot start {command[0]}: {error}", flush=True)
            exit_code = 127
        saved = self.has_saved(exit_code)
        self.finish(CONTINUES if saved else exit_code)
        if saved:
            return 0  # with any other code srun would end nodes that are still saving
        return exit_code if exit_code >= 0 else 128 - exit_code

    def run_command(self, command: list[str], meeting: Meeting, temporary: str) -> int:
        """Start the command and wait for its end; its exit code, negative for a signal."""
        adopt_orphans()
        self.child = subprocess.Popen(
            command,
            env={**self.own(os.environ), **self.variables(meeting), "TMPDIR": temporary},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=before_command,
        )
        exit_code = self.child.wait()
        end_session(self.child.pid)
        end_orphans([])
        return exit_code

    def own(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment without what is for node 0 alone: one run of a tracker has one writer,
        and a run that another node begins is of the same group."""
        left_out = IDS if self.rank else ()
        return {name: value for name, value in environment.items() if name not in left_out}

    def variables(self, meeting: Meeting) -> dict[str, str]:
        """How the command finds the other nodes."""
        host = f"[{meeting.address}]" if ":" in meeting.address else meeting.address
        is_host = "true" if self.rank == 0 else "false"
        return {
            "MASTER_ADDR": meeting.address,
            "MASTER_PORT": str(meeting.port),
            # One process on each node: what torch.distributed calls a rank is a node here.
            "RANK": str(self.rank),
            "WORLD_SIZE": str(self.count),
            "LOCAL_RANK": "0",
            "LOCAL_WORLD_SIZE": "1",
            "NODE_RANK": str(self.rank),
            "ORCH_NODES": str(self.count),
            # Defaults of torchrun's options, which it reads by itself; it gives its own processes
            # the variables above anew. Its default rendezvous, static, numbers ranks by node; with
            # c10d rank 0 may be on any node, and its output in any log.
            "PET_NNODES": str(self.count),
            "PET_NPROC_PER_NODE": os.environ.get("SLURM_GPUS_ON_NODE", "1"),
            "PET_RDZV_ENDPOINT": f"{host}:{meeting.port}",
            "PET_RDZV_ID": os.path.basename(self.folder),
            "PET_RDZV_CONF": f"is_host={is_host}",
            "PET_LOCAL_ADDR": meeting.own_address,
            "PET_NODE_RANK": str(self.rank),
            "PET_SHUTDOWN_TIMEOUT": str(SHUTDOWN_SECONDS),
        }

    def finish(self, exit_code: int) -> None:
        """Leave the final record."""
        self.record |= {
            "ended": time.time(),
            "exit_code": exit_code,
            "oom_kills": oom_kills_since(self.oom_kills, 0, exit_code),
            "usage": usage([], alone=True),
        }
        self.write()

    def has_saved(self, exit_code: int) -> bool:
        """Whether the command was warned, has saved its state and wants to be started again.
        torchrun turns every exit code into 1; ``orch.requeue()`` leaves a file."""
        if exit_code == 0 or "SIGUSR2" not in self.record["signals"]:
            return False
        return exit_code == CONTINUES or os.path.exists(os.environ.get("ORCH_REQUEUE", ""))


def before_command() -> None:
    """In the child: be killed when this process is, and ignore the warning unless the command has a
    handler for it.

    Slurm's SIGUSR2 reaches all processes of the step, and most would die of it: torchrun, loaders
    of data. Ignoring is inherited; a program's own handler goes over it.
    """
    die_with_parent()
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def main() -> int:
    """Run the command of the command line on this node."""
    folder, command = sys.argv[1], sys.argv[2:]
    node = OneNode(folder, int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"]))
    if node.rank:
        with open(os.path.join(folder, f"{node.rank}.log"), "ab") as log:
            for number in (1, 2):
                os.dup2(log.fileno(), number)
    with contextlib.suppress(OSError):
        # Else the terminal of srun's caller decides; a job has none.
        os.close(0)
        os.open(os.devnull, os.O_RDONLY)
    return node.run(command)


if __name__ == "__main__":
    sys.exit(main())
