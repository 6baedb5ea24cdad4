"""The program on the node, started as a scheduler starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from orchestrator.node.launcher.plain import LAUNCH, body_of, launch_file
from orchestrator.runs.documents.launch_files import put, tracking
from tests.support.paths import ROOT

PROGRAM = ROOT / "orchestrator" / "node" / "__main__.py"
TOKEN = "0123456789"
LAUNCHER = "ORCH_TEST_LAUNCHER"
"""Variable of these tests: the launcher that starts the program."""
SECONDS = 240
"""Longest wait for anything; the machine may be busy."""


def started_by(*arguments: str | Path) -> list[str]:
    """The command that starts it, by the launcher in the tests that are of both."""
    command = [sys.executable, "-I", "-S", "-u", str(PROGRAM), *map(str, arguments)]
    launcher = os.environ.get(LAUNCHER)
    return [launcher, *command] if launcher else command


def start_node(log: Path, *arguments: str | Path, job_id: str) -> subprocess.Popen[bytes]:
    """Start it with these arguments as the job of that number; its output goes to the end of
    ``log``."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("SLURM_")
    } | {"ORCH_JOB_ID": job_id}
    with log.open("ab") as out:
        return subprocess.Popen(
            started_by(*arguments),
            env=environment,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
        )


def job_folder(folder: Path, command: list[str], needs: dict[str, str] | None = None) -> Path:
    """What orch leaves for a node before it submits a command job."""
    path = folder / "jobs" / "a"
    (path / "attempt-1").mkdir(parents=True)
    document = {
        "name": "a",
        "engine": None,
        "command": command,
        "needs": needs or {},
        "cwd": str(folder),
        "identity": "i",
        "resources": {"nodes": 1, "gpus": 0, "cpus": 2, "memory_gb": 3, "minutes": 5},
    }
    (path / "job.json").write_text(json.dumps(document))
    write_launch(path)
    return path


def write_launch(path: Path, place: Path | None = None) -> None:
    """What orch tells the launcher of the first attempt at such a job; ``place``: where the job's
    folder will lie when it is started."""
    folder = str(place or path)
    content = (path / "job.json").read_bytes()
    body = body_of(folder, TOKEN, str(ROOT), content, tracking(Path(folder).parents[1], folder))
    if body is not None:
        put(path / "attempt-1" / LAUNCH, launch_file({0: body}))


def attempt_node(path: Path, job_id: str) -> subprocess.Popen[bytes]:
    """Start the first attempt of such a job."""
    return start_node(path / "attempt-1" / "log.txt", path, "1", TOKEN, job_id=job_id)


def first_exit_record(path: Path) -> dict[str, Any]:
    """What its first attempt has left."""
    record: dict[str, Any] = json.loads((path / "attempt-1" / "exit.json").read_text())
    return record
