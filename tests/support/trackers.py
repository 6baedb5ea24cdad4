"""A job with trackers, as a launch leaves it for a node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SETTINGS: dict[str, Any] = {
    "to": [],
    "online": False,
    "project": "sweep",
    "group": "sweep/full-1",
    "tags": ["smoke"],
    "uid": "0123",
    "said": {"said": ["WANDB_NAME", "WANDB_RUN_ID"]},
}


def job_of(axes: dict[str, Any]) -> dict[str, Any]:
    """What job.json says of a command's job with these axes."""
    named = ",".join(f"{axis}={value}" for axis, value in axes.items())
    return {
        "name": f"train/{named}" if named else "train",
        "stage": "train",
        "axes": axes,
        "engine": None,
        "command": ["true"],
        "identity": "i",
    }


def tracked_job(run: Path, job: dict[str, Any], **settings: Any) -> Path:
    """Leave the settings of the run and the job's file; the job's folder."""
    folder = run / "jobs" / "a"
    folder.mkdir(parents=True, exist_ok=True)
    (run / "track.json").write_text(json.dumps({**SETTINGS, **settings}))
    (folder / "job.json").write_text(json.dumps(job))
    return folder
