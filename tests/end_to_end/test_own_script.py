"""docs/own-script.md, done as it says: its scripts, its experiment, its commands."""

import json
import signal
from pathlib import Path

import pytest

from engines.contract.progress import read_progress
from orchestrator.node.own_results import whole_checkpoints
from tests.support.cli import orch, over, until
from tests.support.own_script import write_files

SLOW = "    loss.backward()\n"


def values(folder: Path) -> dict[tuple[str, str], float]:
    """Job and metric -> value."""
    said = orch(folder, "results", "curve", "--json")
    assert said.returncode == 0, said.stderr
    return {(row["job"], row["metric"]): row["value"] for row in json.loads(said.stdout)["rows"]}


def test_the_page_holds(tmp_path: Path) -> None:
    write_files(tmp_path)
    # One width of the two: each training imports torch, and the notebook's test trains both.
    width = ("--set", "train.matrix={lr: [0.001, 0.03], width: [16], seed: [0, 1]}")
    launched = orch(tmp_path, "launch", "curve", "--cluster", "local", "--watch", *width)
    assert launched.returncode == 0, launched.stdout + launched.stderr
    found = values(tmp_path)
    losses = {job: value for (job, metric), value in found.items() if metric == "val_loss"}
    assert len(losses) == 4
    good = {job.partition("/")[2] for job, value in losses.items() if value <= 0.1}
    # Both ways through the gate are gone.
    assert 0 < len(good) < 4
    assert {job.partition("/")[2] for job, metric in found if metric == "mean_error"} == good
    # It has learned: the mean of |sin x| itself is 0.66.
    assert min(value for (_, metric), value in found.items() if metric == "mean_error") < 0.1
    closed = next(job for job in losses if job.partition("/")[2] not in good)
    why = orch(tmp_path, "why", closed.replace("train/", "evaluate/"))
    assert f"{losses[closed]:.4g} > 0.1" in why.stdout
    page = orch(tmp_path, "page", "curve")
    assert page.returncode == 0, page.stderr
    (file,) = (tmp_path / "runs").glob("curve/*/page.html")
    assert "val_loss" in file.read_text() or "val loss" in file.read_text()


@pytest.mark.long
def test_a_training_that_is_stopped_in_the_middle_goes_on(tmp_path: Path) -> None:
    write_files(tmp_path)
    script = tmp_path / "train.py"
    # The one test in which a script must be slow enough to be met while it runs.
    script.write_text(
        script.read_text().replace(SLOW, f"{SLOW}    __import__('time').sleep(0.05)\n")
    )
    stage = "train/lr=0.03,width=16,seed=0"
    only = ["--set", "train.matrix={lr: [0.03], width: [16], seed: [0]}"]
    began = orch(tmp_path, "launch", "curve", "--cluster", "local", *only)
    assert began.returncode == 0, began.stderr
    (run,) = (tmp_path / "runs").glob("curve/*")
    out = next(run.glob("jobs/train*")) / "out"
    wait_until_step(out, 40)
    cancelled = orch(tmp_path, "cancel", "curve", "--job", stage)
    assert cancelled.returncode == 0, cancelled.stderr
    until(tmp_path, over)
    again = orch(tmp_path, "launch", "curve", "--cluster", "local", "--watch", *only)
    assert again.returncode == 0, again.stdout + again.stderr
    steps = [line["step"] for line in read_progress(out)]
    assert steps == list(range(20, 201, 20))
    names = [one["name"] for one in whole_checkpoints(str(out / "checkpoints"))]
    assert {"step-100", "step-200"} <= set(names)
    # The one that the stop has made.
    assert len(names) == 3
    assert signal.SIGTERM.name in (next(out.parent.glob("attempt-1/exit.json"))).read_text()


def wait_until_step(out: Path, step: int) -> None:
    """Until the training has come so far."""
    import time

    deadline = time.monotonic() + 240
    while not any(line["step"] >= step for line in read_progress(out)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
