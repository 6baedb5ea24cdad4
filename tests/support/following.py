"""Starts of an engine with trackers, played by the engine's own writer of progress beside the real
follower."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engines.contract.progress import Progress
from orchestrator.node.tracking.follower import Follower
from orchestrator.node.tracking.variables import with_trackers
from tests.support.paths import ROOT
from tests.support.trackers import job_of, tracked_job


def engine_job(run: Path, to: list[str], axes: dict[str, Any] | None = None) -> Path:
    """The folder of an engine's job whose run tracks to these."""
    job = {**job_of({"seed": 1} if axes is None else axes), "engine": "fsm", "command": None}
    folder = tracked_job(run, job, to=to)
    (folder / "config.json").write_text(json.dumps({"learning_rate": 0.1, "layers": [1, 2]}))
    (folder / "out").mkdir(exist_ok=True)
    return folder


def one_start(
    folder: Path,
    steps: Iterable[int],
    keep_until: int = 0,
    code: int = 0,
    signals: Iterable[str] = (),
    **environment: str,
) -> Follower:
    """One start that does these steps and ends with the code; its follower, which has ended."""
    job = json.loads((folder / "job.json").read_text())
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WANDB_", "MLFLOW_", "TRACKIO_", "TENSORBOARD_"))
    }
    given = with_trackers({**own, "PYTHONPATH": str(ROOT), **environment}, str(folder), job)
    follower = Follower(str(folder), job)
    config, out = str(folder / "config.json"), str(folder / "out")
    engine = [sys.executable, "-P", "-u", "-m", "engines.fsm", config, "--out", out]
    follower.start(engine, str(folder), given)
    progress = Progress(folder / "out", keep_until=keep_until)
    for step in steps:
        progress.write(step, 10, {"loss": 1 / step})
    follower.finish(code, list(signals))
    return follower
