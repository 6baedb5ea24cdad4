"""Engines' progress in the real libraries: one curve over all starts, a name for each job, and no
harm from a tracker that fails."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest

from engines.shared.tracking.follow import without_secrets
from orchestrator.node.tracking import follower as follower_program
from tests.support.following import engine_job, one_start
from tests.support.frameworks import curves, look
from tests.support.paths import ROOT

CURVE = {step: 1 / step for step in range(1, 7)}
"""Of the metric ``loss``."""


def two_starts(folder: Path) -> list[dict[str, str]]:
    """The first ends at the time limit, the second does its last step again."""
    return [
        one_start(folder, (1, 2, 3, 4), code=75).problems,
        one_start(folder, (4, 5, 6), keep_until=3).problems,
    ]


def test_wandb_has_one_whole_offline_run_with_its_identity(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is an extra")
    folder = engine_job(tmp_path, ["wandb"])
    assert two_starts(folder) == [{}, {}]
    (run,) = (folder / "out" / "wandb").glob("offline-run-*")
    text = next(run.glob("*.wandb")).read_bytes()
    for said in (b"sweep/full-1", b"train/seed=1", b"seed=1", b"learning_rate"):
        assert said in text
    found = look("wandb", folder / "out" / "wandb", step="step")
    assert found.problems == []
    assert curves(found)["loss"] == CURVE
    assert len(found.points) == len(CURVE)


def test_tensorboard_has_one_curve(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="no extra brings it: pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = engine_job(tmp_path, ["tensorboard"])
    assert two_starts(folder) == [{}, {}]
    read = EventAccumulator(str(folder / "out" / "tensorboard")).Reload()
    loss = {event.step: event.value for event in read.Scalars("loss")}
    assert len(read.Scalars("loss")) == len(CURVE)
    assert loss == pytest.approx(CURVE, rel=1e-6)


def test_mlflow_goes_on_with_the_run_of_the_first_start(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="no extra brings it: pip install mlflow-skinny sqlalchemy")
    folder = engine_job(tmp_path, ["mlflow"])
    assert two_starts(folder) == [{}, {}]
    with sqlite3.connect(folder / "out" / "mlflow.db") as opened:
        ((name, status),) = opened.execute("SELECT name, status FROM runs").fetchall()
        loss = opened.execute("SELECT step, value FROM metrics WHERE key = 'loss'").fetchall()
        tags = dict(opened.execute("SELECT key, value FROM tags").fetchall())
    assert (name, status, tags["seed"]) == ("train/seed=1", "FINISHED", "1")
    assert len(loss) == len(CURVE)
    assert dict(loss) == CURVE


def test_trackio_has_one_run(tmp_path: Path) -> None:
    pytest.importorskip("trackio", reason="no extra brings it: pip install trackio")
    folder = engine_job(tmp_path, ["trackio"])
    assert two_starts(folder) == [{}, {}]
    (database,) = (folder / "out" / "trackio").glob("*.db")
    with sqlite3.connect(database) as opened:
        rows = opened.execute("SELECT run_name, step, metrics FROM metrics").fetchall()
    assert {row[0] for row in rows} == {"train/seed=1"}
    assert {row[1]: json.loads(row[2])["loss"] for row in rows} == CURVE
    assert len(rows) == len(CURVE)


def test_a_tracker_that_fails_is_told_once_and_costs_nothing_else(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("wandb", reason="wandb is an extra")
    # A file where trackio's library would be: it cannot be imported, whatever is installed.
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "trackio.py").write_text("raise ImportError('not here')")
    folder = engine_job(tmp_path, ["trackio", "wandb"])
    hidden = f"{tmp_path / 'hidden'}"
    follower = one_start(folder, (1, 2), PYTHONPATH=f"{hidden}:{ROOT}", WANDB_MODE="nonesuch")
    assert set(follower.problems) == {"trackio", "wandb"}
    assert follower.facts() == {"tracking": follower.problems}
    said = capfd.readouterr().out.splitlines()
    assert [line.split(":")[2] for line in said if line.startswith("orch: track:")] == [
        " trackio",
        " wandb",
    ]
    assert "cannot import it (not here)" in said[0]
    # A follower that cannot begin at all is said, too, and not in the words of a traceback.
    (tmp_path / "hidden" / "engines").mkdir()
    (tmp_path / "hidden" / "engines" / "__init__.py").touch()
    follower = one_start(folder, (1, 2), PYTHONPATH=hidden)
    assert "not come to its end" in follower.problems["all"]
    (told,) = capfd.readouterr().out.splitlines()
    assert told.startswith("orch: track: the follower")
    assert "engines.shared" in (folder / "out" / "tracking.log").read_text()


def test_one_that_hangs_is_not_waited_for_when_the_job_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(follower_program, "LAST_SECONDS_STOPPED", 1.0)
    (tmp_path / "wandb.py").write_text("import time\ntime.sleep(600)\n")
    folder = engine_job(tmp_path, ["wandb"])
    began = time.monotonic()
    follower = one_start(folder, (1,), PYTHONPATH=f"{tmp_path}:{ROOT}", signals=["SIGTERM"])
    assert time.monotonic() - began < 60
    assert "not come to its end" in follower.problems["all"]
    assert follower.process is not None
    assert not Path(f"/proc/{follower.process.pid}").exists()
    assert capfd.readouterr().out.startswith("orch: track: ")


def test_no_secret_is_in_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "planted-value-123")
    said = without_secrets("refused: planted-value-123 at https://me:word@host/x")
    assert said == "refused: $WANDB_API_KEY at https://<secret>@host/x"


def test_a_commands_job_has_no_follower(tmp_path: Path) -> None:
    folder = engine_job(tmp_path, ["wandb"])
    job = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps({**job, "engine": None, "command": ["true"]}))
    follower = one_start(folder, (1,))
    assert (follower.process, follower.facts()) == (None, {})
