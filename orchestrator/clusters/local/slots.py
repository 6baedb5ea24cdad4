"""CPUs, memory and GPUs of this machine, shared by all runs on it.

A ledger file under a lock holds who has what. An entry counts only while its process lives, so
nothing has to be given back after a kill. Free memory is counted from what jobs asked for, not
measured.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.spec import Resources
from orchestrator.node.system import process_start


@dataclass(frozen=True)
class Machine:
    """What jobs may share here."""

    cpus: int
    memory_gb: int
    gpus: tuple[str, ...]
    """Ids as in CUDA_VISIBLE_DEVICES."""

    def refusal(self, resources: Resources) -> str | None:
        """Why a job can never run here, or None."""
        asked = (
            ("cpus", resources.cpus, self.cpus),
            ("memory_gb", resources.memory_gb, self.memory_gb),
            ("gpus", resources.gpus, len(self.gpus)),
            ("nodes", resources.nodes, 1),
        )
        over = [f"{key} {want} (it has {have})" for key, want, have in asked if want > have]
        return (
            f"asks for more than this machine has: {', '.join(over)}; ask for less with "
            "--set STAGE.resources.KEY=N"
            if over
            else None
        )


def this_machine() -> Machine:
    """CPUs this process may use, memory of the machine or the cgroup, GPUs by CUDA_VISIBLE_DEVICES
    or nvidia-smi."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and limit.read_text().strip().isdigit():
        memory = min(memory, int(limit.read_text()))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        gpus = tuple(part for part in visible.split(",") if part)
    elif shutil.which("nvidia-smi"):
        listed = subprocess.run(
            ["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=60
        )
        gpus = (
            tuple(str(number) for number in range(len(listed.stdout.splitlines())))
            if listed.returncode == 0
            else ()
        )
    else:
        gpus = ()
    return Machine(len(os.sched_getaffinity(0)), max(1, round(memory / 2**30)), gpus)


def ledger_path() -> Path:
    """One ledger per user and machine, on a local disk."""
    return Path(tempfile.gettempdir()) / f"orch-slots-{getpass.getuser()}.json"


@contextmanager
def ledger() -> Iterator[list[dict[str, Any]]]:
    """The live entries under the lock; what is in the list at the end is written back."""
    path = ledger_path()
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read()
        entries = [
            entry
            for entry in (json.loads(text) if text else [])
            if process_start(entry["pid"]) == entry["start"]
        ]
        yield entries
        file.seek(0)
        file.truncate()
        json.dump(entries, file)


def fits(machine: Machine, resources: Resources, entries: list[dict[str, Any]]) -> list[str] | None:
    """Ids of the GPUs the job would get, or None if it does not fit beside ``entries``."""
    cpus = machine.cpus - sum(entry["cpus"] for entry in entries)
    memory = machine.memory_gb - sum(entry["memory_gb"] for entry in entries)
    taken = {gpu for entry in entries for gpu in entry["gpus"]}
    free = [gpu for gpu in machine.gpus if gpu not in taken]
    if resources.cpus > cpus or resources.memory_gb > memory or resources.gpus > len(free):
        return None
    return free[: resources.gpus]


def entry(pid: int, resources: Resources, gpus: list[str]) -> dict[str, Any]:
    """A ledger entry of a process."""
    return {
        "pid": pid,
        "start": process_start(pid),
        "cpus": resources.cpus,
        "memory_gb": resources.memory_gb,
        "gpus": gpus,
    }
