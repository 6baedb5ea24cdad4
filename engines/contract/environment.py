"""What a program runs with: Python, packages, driver, modules. Names of variables that hold secrets
are never looked at."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SHOWN = (
    "LOADEDMODULES",
    "CONDA_DEFAULT_ENV",
    "VIRTUAL_ENV",
    "APPTAINER_CONTAINER",
    "SINGULARITY_CONTAINER",
)
"""The only environment variables that are written down."""
DRIVER = Path("/proc/driver/nvidia/version")


def cpu_count() -> int:
    """CPUs of this job: what Slurm or the cluster ``local`` has given it, and no more than the
    system lets the process run on.

    Threads beyond that are worse than idle: those of OpenMP spin where they wait, on cores that
    other jobs were given.
    """
    given = [
        value
        for name in ("SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS")
        if (value := os.environ.get(name, "")).isdigit() and value != "0"
    ]
    return min([len(os.sched_getaffinity(0)), *map(int, given)])


def packages(path: Iterable[str] | None = None) -> dict[str, str]:
    """Installed packages and their versions, from the names of their ``dist-info`` folders along
    ``path`` (sys.path).

    Reading every package's metadata, as ``pip freeze`` does, says the same and takes a hundred
    times as long.
    """
    found: dict[str, str] = {}
    for folder in sys.path if path is None else path:
        names = os.listdir(folder) if folder and os.path.isdir(folder) else []  # noqa: PTH208, PTH112  # starts with every job
        for name in names:
            match = re.fullmatch(r"(.+?)-([^-]+)\.dist-info", name)
            if match:  # the first on the path is the one that is imported
                found.setdefault(re.sub(r"[-_.]+", "-", match[1]).lower(), match[2])
    return dict(sorted(found.items()))


def driver() -> str | None:
    """Version of the NVIDIA driver; None where there is none."""
    match = re.search(r"\b(\d+\.\d+(?:\.\d+)?)\b", DRIVER.read_text()) if DRIVER.exists() else None
    return match[1] if match else None


def environment() -> dict[str, Any]:
    """Python, machine, driver, loaded modules and packages, as JSON values."""
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "host": platform.node(),
        "system": platform.release(),
        "nvidia_driver": driver(),
        "variables": {name: os.environ[name] for name in SHOWN if os.environ.get(name)},
        "packages": packages(),
    }
