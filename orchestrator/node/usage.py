"""What a job has used: memory by its control group, kills for want of memory, how busy its GPUs
were.

In: /proc, the control groups, nvidia-smi. Out: numbers, or that the system does not say. Called by
the program on the node; the standard library alone.
"""

from __future__ import annotations

import os

from orchestrator.node.light.standard import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CGROUP_ROOTS = {"": "/sys/fs/cgroup", "memory": "/sys/fs/cgroup/memory"}
"""Where control groups lie that count memory: of version 2, which has no controllers in
/proc/self/cgroup, and of version 1."""


def memory_groups() -> list[tuple[str, str]]:
    """Controller and path of each control group of this process that may count memory."""
    with open("/proc/self/cgroup") as file:
        # "0::/system.slice/..." in version 2, "4:memory:/slurm/uid_0/job_7" in version 1.
        fields = [line.strip().split(":", 2) for line in file]
    return [(controller, path) for _, controller, path in fields if controller in CGROUP_ROOTS]


def oom_kills() -> int | None:
    """How many processes of this control group (version 2 or 1) the kernel has killed for want of
    memory; None: it does not say."""
    for controller, path in memory_groups():
        name = "memory.oom_control" if controller else "memory.events"
        counts = f"{CGROUP_ROOTS[controller]}{path}/{name}"
        if os.path.exists(counts):
            with open(counts) as file:
                for line in file:
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
            return None
    return None


def oom_kills_since(before: int | None, neighbours: int, code: int) -> int | None:
    """How many processes of a job the kernel killed for want of memory; None: it does not say.

    Args:
        before: what ``oom_kills`` said when the job started.
        neighbours: other jobs in the same control group.
        code: how its program ended.
    """
    kills = oom_kills()
    if kills is None or before is None:
        return None
    # By signal, or 137 where a shell in between tells of it.
    if neighbours and code not in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return 0  # the control group is the whole pack's: whom the kernel killed was a neighbour
    return kills - before


def job_group() -> str | None:
    """The folder of the scheduler's own control group of this job; None where a job has none of its
    own."""
    for controller, path in memory_groups():
        # Slurm's is .../job_<id>, and steps lie below it.
        head, mark, rest = path.partition("/job_")
        group = f"{CGROUP_ROOTS[controller]}{head}{mark}{rest.partition('/')[0]}"
        if mark and os.path.isdir(group):
            return group
    return None


def memory_peak(alone: bool) -> tuple[float, str]:
    """Most memory so far in GB (2^30 bytes), and of what: ``job`` by its control group, else of the
    ``largest process``.

    ``alone``: whether the job has its allocation for itself; else the group's memory is that of its
    neighbours too.
    """
    import resource

    group = job_group() if alone else None
    for name in ("memory.peak", "memory.max_usage_in_bytes"):
        if group is not None and os.path.exists(f"{group}/{name}"):
            with open(f"{group}/{name}") as file:
                return int(file.read()) / 2**30, "job"
    # Linux counts ru_maxrss in KB.
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20, "largest process"


def gpu_use() -> tuple[float, float] | None:
    """Mean percentage of time that this job's GPUs were busy just now, and their memory in GB; None
    if nvidia-smi does not say."""
    ids = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    command = [
        "nvidia-smi",
        "--query-gpu=utilization.gpu,memory.used",
        "--format=csv,noheader,nounits",
        # nvidia-smi by itself does not heed CUDA_VISIBLE_DEVICES.
        *(["-i", ids] if ids else []),
    ]
    import subprocess

    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=30)
        rows = [[float(cell) for cell in line.split(",")] for line in said.stdout.splitlines()]
    except (OSError, subprocess.TimeoutExpired, ValueError):  # no such program, or [N/A] in a cell
        return None
    if not rows:
        return None
    busy = sum(percent for percent, _ in rows) / len(rows)
    return busy, sum(megabytes for _, megabytes in rows) / 1024


def usage(gpu_uses: list[tuple[float, float]], alone: bool) -> dict[str, Any]:
    """What the program has used: CPU seconds (of what has ended), memory, and how busy its GPUs
    were on average."""
    import resource

    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    memory, memory_of = memory_peak(alone)
    used: dict[str, Any] = {
        "cpu_seconds": spent.ru_utime + spent.ru_stime,
        "memory_gb": memory,
        "memory_of": memory_of,
    }
    if gpu_uses:
        used["gpu_percent"] = sum(percent for percent, _ in gpu_uses) / len(gpu_uses)
        used["gpu_memory_gb"] = max(gigabytes for _, gigabytes in gpu_uses)
    return used
