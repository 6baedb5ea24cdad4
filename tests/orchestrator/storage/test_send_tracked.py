"""What trackers have kept in a run's jobs: found, sent by the real libraries, and what cannot be."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.description.profile import Profile
from orchestrator.errors import RunError
from orchestrator.runs.create import create_run
from orchestrator.runs.record import JobState
from orchestrator.runs.run import Run
from orchestrator.storage import send_tracked
from tests.support.builders import planned
from tests.support.frameworks import FRAMEWORKS


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of two jobs, one of which has kept something of W&B and TensorBoard."""
    stages = {"t": {"command": ["true", "{seed}"], "matrix": {"seed": [0, 1]}}}
    plan = planned({"experiment": "e", "stages": stages}, tmp_path)
    made = create_run(plan, Profile(name="p", kind="local"), tmp_path / "runs")
    out = made.out_folder(made.load()[0]) / "files"
    shutil.copytree(FRAMEWORKS / "wandb_offline", out / "wandb")
    shutil.copytree(FRAMEWORKS / "tensorboard", out / "tensorboard")
    return made


def test_what_was_sent_is_not_sent_again_and_what_runs_is_left(run: Run) -> None:
    kept = send_tracked.kept_by(run, run.load())
    folders = len(list((FRAMEWORKS / "wandb_offline").glob("*/*.wandb")))
    assert (len(kept.wandb), kept.wandb_sent, kept.running) == (folders, 0, [])
    assert kept.tensorboard > 0
    (file,) = kept.wandb[0].glob("*.wandb")
    file.with_name(f"{file.name}.synced").touch()
    kept = send_tracked.kept_by(run, run.load())
    assert (len(kept.wandb), kept.wandb_sent) == (folders - 1, 1)
    first, second = run.load()
    active = replace(first, state=JobState.RUNNING)
    kept = send_tracked.kept_by(run, [active, second])
    assert (kept.wandb, kept.tensorboard, kept.running) == ([], 0, [first.name])


def test_wandb_without_a_key_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="wandb is an extra")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    kept = send_tracked.kept_by(run, run.load())
    with pytest.raises(RunError, match=r"wandb: could not be sent: .*API key"):
        send_tracked.send_wandb(run, kept.wandb, dry_run=False)
    assert send_tracked.send_wandb(run, kept.wandb, dry_run=True).endswith("would be sent")


def test_mlflow_asks_for_a_server(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(RunError, match="1 databases, and no server is named"):
        send_tracked.send_mlflow(run, [Path("/a/mlflow.db")], dry_run=False)


def test_mlflow_runs_are_copied_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="no extra brings it: pip install mlflow-skinny sqlalchemy")
    from mlflow import MlflowClient

    there = tmp_path / "there.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{there}")
    source = tmp_path / "here.db"
    here = MlflowClient(f"sqlite:///{source}")
    number = here.create_experiment("sweep", artifact_location=str(tmp_path / "files"))
    own = here.create_run(number, tags={"orch.id": "abc", "seed": "1"}, run_name="train/seed=1")
    here.log_param(own.info.run_id, "lr", "0.1")
    for step in (1, 2, 3):
        here.log_metric(own.info.run_id, "loss", 1 / step, step=step)
    here.set_terminated(own.info.run_id, "FAILED")
    for _ in range(2):
        assert send_tracked.send_mlflow(run, [source], dry_run=False).endswith(": 1 runs")
    with sqlite3.connect(there) as opened:
        runs = opened.execute("SELECT name, status, end_time > start_time FROM runs").fetchall()
        loss = opened.execute("SELECT step, value FROM metrics ORDER BY step").fetchall()
        params = opened.execute("SELECT key, value FROM params").fetchall()
        tags = dict(opened.execute("SELECT key, value FROM tags").fetchall())
    assert runs == [("train/seed=1", "FAILED", 1)]
    assert loss == [(1, 1.0), (2, 1 / 2), (3, 1 / 3)]
    assert params == [("lr", "0.1")]
    assert (tags["seed"], tags["orch.id"]) == ("1", "abc")


def test_trackio_runs_are_gathered_in_one_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trackio", reason="no extra brings it: pip install trackio")
    from tests.support.following import engine_job, one_start

    databases: list[Path] = []
    for seed in (0, 1):
        folder = engine_job(tmp_path / str(seed), ["trackio"], {"seed": seed})
        assert one_start(folder, (1, 2)).problems == {}
        databases += (folder / "out" / "trackio").glob("*.db")
    for _ in range(2):
        said = send_tracked.send_trackio(run, databases, dry_run=False)
        assert said.startswith("trackio: 2 runs in ")
    with sqlite3.connect(run.folder / "trackio" / "sweep.db") as opened:
        rows = opened.execute("SELECT run_name, step FROM metrics ORDER BY 1, 2").fetchall()
    assert rows == [(f"train/seed={seed}", step) for seed in (0, 1) for step in (1, 2)]
