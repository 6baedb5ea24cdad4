"""A scheduler of the cluster local that finds a job in its table."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from orchestrator.clusters.local.scheduler import Scheduler
from orchestrator.description.profile import Profile
from orchestrator.node.system import write_json
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from tests.support.cli import SMALL, describe


def submitted_by_hand(folder: Path, row: dict[str, Any]) -> Scheduler:
    """A scheduler that finds a job of this row in its table."""
    plan = make_plan(describe(folder, f"  a: {{command: sleep 60, {SMALL}}}\n"))
    run = create_run(plan, Profile(kind="local"), folder / "runs")
    attempt = run.folder / "jobs/a/attempt-1"
    attempt.mkdir()
    (run.folder / "scheduler" / "cancel").mkdir(parents=True)
    whole = {
        "job_id": "L-t",
        "token": "t",
        "name": "a",
        "state": "RUNNING",
        "log": str(attempt / "log.txt"),
        "exit": str(attempt / "exit.json"),
        "script": str(attempt / "script.sh"),
        "cwd": str(folder),
        "after": [],
        "started": time.time() - 100,
        "resources": {"gpus": 0, "cpus": 1, "memory_gb": 1, "minutes": 5},
        **row,
    }
    write_json(run.folder / "scheduler" / "table.json", {"t": whole})
    return Scheduler(run)
