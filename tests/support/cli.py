"""`orch` as a person calls it: experiment files to launch, the command itself, what its status
says, and waiting for a state.

A test calls ``describe`` and ``launch`` (or ``orch`` with any command) in a folder of its own,
which holds the file, the runs and all that the jobs write; ``jobs`` and ``until`` then read ``orch
status --json`` there.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.private_slurm import PrivateSlurm

ORCH = str(Path(sys.executable).with_name("orch"))

SMALL = "resources: {cpus: 1, memory_gb: 1, minutes: 5}"

SAVES = """if [ -e saved ]; then exit 0; fi
trap 'touch saved; exit 75' USR2
touch ready
while :; do sleep 0.1; done
"""
"""A shell program that never ends by itself: warned, it saves and asks to be started again, and
then it is done."""

Rows = dict[str, dict[str, Any]]
"""The jobs of a status by name."""


def tiny_stage(data_seed: int) -> str:
    """The keys of a stage that trains a very small model in a second; stages with unlike seeds are
    unlike jobs."""
    return (
        "engine: fsm, resources: {cpus: 1, memory_gb: 1, minutes: 5}, config: {machines: "
        "{states: 3, actions: 3, "
        "demonstration_length: 4, query_length: 4}, architecture: {kind: rnn, width: 4, "
        "layers: 1}, train_sequences: 16, "
        f"validation_sequences: 4, test_sequences: 4, epochs: 1, data_seed: {data_seed}}}"
    )


def describe(folder: Path, stages: str, top: str = "") -> Path:
    """An experiment file of these stages; ``top``: lines before them."""
    path = folder / "trial.yaml"
    path.write_text(f"experiment: trial\nabout: trial\n{top}stages:\n{stages}")
    return path


def orch(
    folder: Path | None,
    *arguments: str | Path,
    path: str = "",
    program: Path | None = None,
    timeout: float = 600,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run a command of `orch` in a folder, with its runs and temporary files there.

    Args:
        folder: None is here, with the runs where the environment says.
        arguments: Of `orch`.
        path: What PATH begins with; see ``wrapper``.
        program: A copy of the product to run in place of the installed one.
        timeout: Seconds.
        environment: More variables, or others.
    """
    variables = {**os.environ, "COLUMNS": "250", "PATH": path + os.environ["PATH"]}
    if arguments[0] == "why":
        # As a program reads it: without a width it has a line for each thing that is told.
        del variables["COLUMNS"]
    if folder is not None:
        # A cache for each call, so that none gets an answer of Slurm that another was given, nor
        # waits for its budget.
        variables |= {
            "ORCH_RUNS": str(folder / "runs"),
            "TMPDIR": str(folder),
            "ORCH_CACHE": str(folder / "cache" / secrets.token_hex(4)),
        }
    command = [ORCH]
    if program is not None:
        command = [sys.executable, "-P", "-m", "orchestrator.cli"]
        variables["PYTHONPATH"] = str(program)
    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=folder,
        env={**variables, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def launch(
    folder: Path, stages: str, watch: str = "--watch", **environment: Any
) -> subprocess.CompletedProcess[str]:
    """Describe stages and launch them on this machine."""
    return orch(
        folder, "launch", describe(folder, stages), "--cluster", "local", watch, **environment
    )


def the_run(folder: Path) -> Path:
    """The folder of the one run of ``describe``'s experiment."""
    (run,) = (folder / "runs").glob("trial/*")
    return run


def scheduler_of(folder: Path) -> int:
    """The process of the scheduler of the one run in a folder."""
    (run,) = (folder / "runs").glob("[!.]*/*")
    found = subprocess.run(
        ["pgrep", "-f", f"orchestrator.clusters.local {run.resolve()}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(found.stdout.split()[0])


def jobs(folder: Path | None, path: str = "") -> Rows:
    """What a status says of each job."""
    result = orch(folder, "status", "--json", path=path)
    assert result.returncode == 0, result.stderr
    return {job["job"]: job for job in json.loads(result.stdout)["jobs"]}


def states(found: Rows) -> dict[str, str]:
    """The state of each job."""
    return {name: job["state"] for name, job in found.items()}


def until(folder: Path, met: Callable[[Rows], bool], seconds: float = 240) -> Rows:
    """Ask for the status until it is so; returns the last answer."""
    deadline = time.monotonic() + seconds
    while not met(found := jobs(folder)):
        assert time.monotonic() < deadline, "\n".join(
            f"{name}: {job['state']} by {job['source']} {job['reason']}"
            for name, job in found.items()
        )
        time.sleep(0.3)
    return found


def warn_the_job(folder: Path, before: int | None = None) -> int:
    """Send the one job of `local` the signal of a time limit; returns its process. The scheduler
    notes a process after its start, so one that the job had ``before`` may still stand there."""
    (table,) = folder.glob("runs/[!.]*/*/scheduler/table.json")
    deadline = time.monotonic() + 60
    while (pid := next(iter(json.loads(table.read_text()).values())).get("pid")) in (None, before):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(pid, signal.SIGUSR2)
    return int(pid)


def over(found: Rows) -> bool:
    """Whether nothing waits in the queue or runs."""
    return all(
        job["state"] not in ("PENDING", "RUNNING", "COMPLETING", "UNKNOWN")
        for job in found.values()
    )


def wrapper(folder: Path, program: str, text: str) -> str:
    """A program of that name in front of the real one, which it calls as $real; returns the start
    of PATH."""
    real = subprocess.run(
        ["which", program], capture_output=True, text=True, check=True
    ).stdout.strip()
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    (bin_folder / program).write_text(f"#!/bin/bash\nreal={real}\n{text}\n")
    (bin_folder / program).chmod(0o755)
    return f"{bin_folder}:"


def launched_later(folder: Path, slurm: PrivateSlurm, count: int, more: str) -> None:
    """Launch so many jobs that do not start within the hour; ``more``: lines of the profile."""
    later = folder / "later.yaml"
    later.write_text(f"{slurm.profile.read_text()}sbatch: {{begin: now+1hour}}\n{more}\n")
    file = describe(
        folder, f'  a: {{command: "echo {{n}}", matrix: {{n: {list(range(count))}}}, {SMALL}}}\n'
    )
    assert orch(folder, "launch", file, "--cluster", later).returncode == 0


def slurm_says(*command: str) -> str:
    """The output of one of Slurm's programs."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
