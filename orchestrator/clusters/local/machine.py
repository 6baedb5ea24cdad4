"""What this machine has for jobs, as far as this process may use it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


def cpu_count() -> int:
    """CPU cores this process may run on."""
    return len(os.sched_getaffinity(0))


def memory_gb() -> int:
    """Memory in GB (2^30 bytes): what the machine has, or the control group's limit if that is
    less."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in (
        Path("/sys/fs/cgroup/memory.max"),
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    ):
        text = path.read_text().strip() if path.is_file() else "max"
        limits += [int(text)] if text.isdigit() else []
    return min(limits) // 2**30


def gpu_count() -> int:
    """GPUs this process may use: CUDA_VISIBLE_DEVICES if it is set, else what nvidia-smi lists."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    if shutil.which("nvidia-smi") is None:
        return 0
    answer = subprocess.run(
        ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=False
    )
    return (
        len([line for line in answer.stdout.splitlines() if line.startswith("GPU ")])
        if answer.returncode == 0
        else 0
    )
