"""Engines and somebody's own script, tracked offline by the real library, up to what is sent."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.cli import SMALL, describe, jobs, orch, states, the_run, tiny_stage
from tests.support.frameworks import curves, look

SCRIPT = """
import wandb
run = wandb.init()
for step in range(3):
    run.log({"loss": 1 / (1 + step), "step": step})
run.finish()
"""


def test_two_seeds_of_an_engine_and_a_script_are_told_apart(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is an extra")
    (tmp_path / "fit.py").write_text(SCRIPT)
    path = describe(
        tmp_path,
        f"  train: {{{tiny_stage(0)}, matrix: {{seed: [0, 1]}}}}\n"
        f"  fit: {{command: {sys.executable} fit.py, reads: {{kind: wandb, step: step}}, {SMALL}}}\n",
        "track: wandb\n",
    )
    done = orch(tmp_path, "launch", path, "--cluster", "local", "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(states(jobs(tmp_path)).values()) == {"COMPLETED"}
    run, ids = the_run(tmp_path), set()
    for file in run.glob("jobs/*/out/**/run-*.wandb"):
        job = json.loads((file.parents[3 if "train" in str(file) else 4] / "job.json").read_text())
        text = file.read_bytes()
        assert job["name"].encode() in text
        assert f"trial/{run.name}".encode() in text
        ids.add(file.stem)
    assert len(ids) == 3
    for folder in run.glob("jobs/train*/out"):
        lines = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
        found = curves(look("wandb", folder / "wandb", step="step"))
        for line in lines:
            for name, value in line["metrics"].items():
                shown = name if line["phase"] == "train" else f"{line['phase']}/{name}"
                assert found[shown][line["step"]] == value
    for record in run.glob("jobs/*/attempt-1/exit.json"):
        assert "tracking" not in json.loads(record.read_text())
    said = orch(tmp_path, "track", "sync", "trial", "--dry-run")
    assert said.stdout.splitlines() == ["wandb: 3 offline runs would be sent"]
