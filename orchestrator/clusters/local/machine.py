"""What this machine has for jobs, as far as this process may use it.

In: nothing but the machine. Out: a ``Machine``. Called by the local scheduler, which shares it
between jobs (slots.py), and by `orch check`, which says what it cannot give.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from jobs.spec import Resources

MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where a control group says how much memory it may use, of version 2 and 1."""


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
        if not over:
            return None
        return (
            f"asks for more than this machine has: {', '.join(over)}; ask for less with "
            "--set STAGE.resources.KEY=N"
        )


def this_machine() -> Machine:
    """What this process may use of the machine that it runs on."""
    return Machine(cpu_count(), memory_gb(), gpu_ids())


def cpu_count() -> int:
    """CPU cores this process may run on."""
    # os.cpu_count() counts what a taskset or an allocation of Slurm keeps from this process too.
    return len(os.sched_getaffinity(0))


def memory_gb() -> int:
    """Memory in whole GB (2^30 bytes): what the machine has, or the control group's limit if that
    is less; at least one."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in MEMORY_LIMITS:
        text = path.read_text().strip() if path.is_file() else ""
        if text.isdigit():  # without a limit it says "max"
            limits.append(int(text))
    return max(1, min(limits) // 2**30)


def gpu_ids() -> tuple[str, ...]:
    """GPUs this process may use: those of CUDA_VISIBLE_DEVICES if it is set, else all that
    nvidia-smi lists."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        # By convention "-1" hides every GPU.
        named = [device.strip() for device in visible.split(",")]
        return tuple(device for device in named if device not in ("", "-1"))
    if shutil.which("nvidia-smi") is None:
        return ()
    answer = subprocess.run(
        ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=False
    )
    if answer.returncode != 0:
        return ()
    count = sum(line.startswith("GPU ") for line in answer.stdout.splitlines())
    return tuple(str(number) for number in range(count))
