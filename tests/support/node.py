"""The program on the node, started as a scheduler starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from orchestrator.node import __main__ as node_program


def start_node(log: Path, *arguments: str | Path, job_id: str) -> subprocess.Popen[bytes]:
    """Start it with these arguments as the job of that number; its output goes to the end of
    ``log``."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("SLURM_")
    } | {"ORCH_JOB_ID": job_id}
    command = [sys.executable, "-I", "-S", "-u", node_program.__file__, *map(str, arguments)]
    with log.open("ab") as out:
        return subprocess.Popen(
            command, env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL
        )
