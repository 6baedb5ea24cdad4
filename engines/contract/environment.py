"""What a program runs with: Python, packages, driver, modules, and the CPUs that are its own.

Out: JSON values for ``environment.json`` of a job and for the record of a launch; engines and
``orch`` call it. Names of variables that hold secrets are never looked at.
"""

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
    # os.cpu_count() would be the whole machine. Slurm binds a job to its CPUs, which shows here.
    limits = [len(os.sched_getaffinity(0))]
    for name in ("SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "")
        # OMP_NUM_THREADS may also be a list, "4,2", one
        # number per level of nesting: that is ignored.
        if value.isdigit() and value != "0":
            limits.append(int(value))
    return min(limits)


def packages(path: Iterable[str] | None = None) -> dict[str, str]:
    """Installed packages and their versions, from the names of their ``dist-info`` folders along
    ``path`` (sys.path).

    Reading every package's metadata, as ``pip freeze`` does, says the same and takes a hundred
    times as long.
    """
    versions: dict[str, str] = {}
    for folder in sys.path if path is None else path:
        # os and not pathlib: this runs at the start of every job.
        if not folder or not os.path.isdir(folder):  # noqa: PTH112
            continue
        for entry in os.listdir(folder):  # noqa: PTH208
            match = re.fullmatch(r"(.+?)-([^-]+)\.dist-info", entry)
            if match is None:
                continue
            # The form in which PyPI compares names: "Foo_Bar"
            # and "foo-bar" are one package (PEP 503).
            name = re.sub(r"[-_.]+", "-", match[1]).lower()
            versions.setdefault(name, match[2])  # the first on the path is the one imported
    return dict(sorted(versions.items()))


def driver() -> str | None:
    """Version of the NVIDIA driver; None where there is none."""
    if not DRIVER.exists():
        return None
    # "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 ..."
    match = re.search(r"\b(\d+\.\d+(?:\.\d+)?)\b", DRIVER.read_text())
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
