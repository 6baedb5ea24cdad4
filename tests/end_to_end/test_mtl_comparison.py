"""The main job, whole: `orch launch mtl-comparison --preset smoke` from description to report, for
real."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import jobs, orch, states

SHORT = ["--set", "train.config.epochs=2", "--set", "train.config.early_stopping=null"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCH_RUNS", str(tmp_path))


def assert_report(runs: Path) -> None:
    shown = orch(None, "report")
    assert shown.returncode == 0, shown.stderr
    for domain in ("math", "logic", "code", "science", "simulation", "tabular"):
        assert domain in shown.stdout
    (html,) = runs.glob("[!.]*/*/jobs/report*/out/report.html")
    text = html.read_text()
    assert "<img" in text or "<svg" in text
    assert "http://" not in text.replace("http://www.w3.org", "")


@pytest.mark.engine
@pytest.mark.timeout(1500)
def test_smoke_preset_on_this_machine_from_launch_to_report(tmp_path: Path) -> None:
    result = orch(
        None,
        "launch",
        "mtl-comparison",
        "--preset",
        "smoke",
        "--cluster",
        "local",
        "--watch",
        timeout=1400,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert set(states(jobs(None)).values()) == {"COMPLETED"}
    assert_report(tmp_path)
    for arm in ("baseline", "pcgrad"):
        (results,) = tmp_path.glob(f"*/*/jobs/train*{arm}*/out/results.json")
        found = json.loads(results.read_text())["rows"]
        reward = {
            row["axes"]["moment"]: row["value"]
            for row in found
            if row["metric"] == "validation_reward_mean"
        }
        assert reward["after"] > reward["before"] + 0.1, f"{arm} did not learn: {reward}"
    again = orch(
        None, "launch", "mtl-comparison", "--preset", "smoke", "--cluster", "local", "--no-watch"
    )
    assert again.returncode == 0
    assert not list(tmp_path.glob("[!.]*/*/jobs/*/attempt-2")), "a finished job was started again"


TWINS = """
experiment: twins
about: the same training twice, one of them killed
stages:
  prepare:
    engine: miniature
    resources: {cpus: 2, memory_gb: 6, minutes: 10}
    config: {warmup_steps: 60}
  train:
    engine: ppo
    after: prepare
    matrix:
      twin:                                     # by a key that decides nothing about the result
        straight: {step_timeout_minutes: 120.0}
        killed: {step_timeout_minutes: 121.0}
    resources: {cpus: 2, memory_gb: 6, minutes: 10}
    config:
      model: {of: prepare, checkpoint: warm}
      data: {of: prepare, path: data}
      validation_data: {of: prepare, path: data}
      mtl: {method: pcgrad}
      epochs: 2
      learning_rate: 1e-3
      max_prompt_tokens: 80
      max_response_tokens: 12
      micro_batch_tokens: 8192
      validate_every_epochs: 2
      save_state_every_steps: 2
      early_stopping: null
"""


def weights(runs: Path, twin: str) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]:
    (out,) = runs.glob(f"*/*/jobs/train*{twin}*/out")
    manifests = sorted(out.glob("checkpoints/*/manifest.json"))
    kept = (
        "validation_reward_mean",
        "conflict_rate",
        "gradient_norm_total",
        "loss",
        "train_reward_mean",
    )
    lines = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
    metrics = [
        {"step": line["step"], **{key: line["metrics"].get(key) for key in kept}} for line in lines
    ]
    return (
        json.loads(manifests[-1].read_text())["fingerprint"],
        metrics,
        json.loads((out / "results.json").read_text())["rows"],
    )


def driver_of(runs: Path, twin: str) -> int:
    """The training's own process: the child of the node process that has the claim."""
    (claim,) = runs.glob(f"*/*/jobs/train*{twin}*/attempt-1/claim.json")
    node = json.loads(claim.read_text())["pid"]
    return int(Path(f"/proc/{node}/task/{node}/children").read_text().split()[0])


@pytest.mark.engine
@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_training_killed_in_the_middle_ends_bit_equal_after_another_launch(
    tmp_path: Path,
) -> None:
    (tmp_path / "twins.yaml").write_text(TWINS)
    launch = ["launch", str(tmp_path / "twins.yaml"), "--cluster", "local", "--no-watch"]
    assert orch(None, *launch).returncode == 0
    deadline = time.monotonic() + 400
    killed = False
    while set(states(jobs(None)).values()) & {"PENDING", "RUNNING", "COMPLETING"}:
        assert time.monotonic() < deadline, states(jobs(None))
        steps = [
            json.loads(line)["step"]
            for path in tmp_path.glob("[!.]*/*/jobs/train*killed*/out/progress.jsonl")
            for line in path.read_text().splitlines()
        ]
        if not killed and max(steps, default=0) >= 5:
            os.kill(driver_of(tmp_path, "killed"), signal.SIGKILL)
            killed = True
        time.sleep(0.3)
    assert states(jobs(None))["train/twin=killed"] == "FAILED"
    assert orch(None, *launch, "--watch", timeout=900).returncode == 0
    assert set(states(jobs(None)).values()) == {"COMPLETED"}
    assert weights(tmp_path, "killed") == weights(tmp_path, "straight")


@pytest.mark.engine
@pytest.mark.slurm
@pytest.mark.timeout(1500)
def test_smoke_preset_on_slurm_with_a_training_that_is_warned_requeued_and_goes_on(
    slurm: Any, tmp_path: Path
) -> None:
    arguments = ["mtl-comparison", "--preset", "smoke", "--cluster", str(slurm.profile), *SHORT]
    result = orch(None, "launch", *arguments, "--no-watch")
    assert result.returncode == 0, result.stdout + result.stderr
    deadline = time.monotonic() + 1400
    warned, let_go = "", False
    while (found := jobs(None)) and {row["state"] for row in found.values()} & {
        "PENDING",
        "RUNNING",
        "COMPLETING",
    }:
        assert time.monotonic() < deadline, found
        train = found["train/arm=pcgrad,seed=0"]
        if not warned and (train["step"] or 0) >= 3:
            warned = train["id"]
            # What Slurm sends before the time limit; then do not wait the two minutes that it
            # leaves before it starts a job again.
            subprocess.run(["scancel", "--batch", "--signal=USR2", warned], check=True)
        # Once: squeue says BeginTime until the scheduler has looked again, and by then the new
        # start may be running.
        if warned and not let_go and "BeginTime" in train["reason"]:
            assert "requeued: engines.ppo: stopped: after step" in train["reason"]
            slurm.start_again_now(warned)
            let_go = True
        time.sleep(1.5)  # a look takes a third of a second of a core, and two trainings share two
    assert {row["state"] for row in found.values()} == {"COMPLETED"}, found
    train = found["train/arm=pcgrad,seed=0"]
    assert (train["id"], train["attempt"], train["restarts"]) == (warned, 1, 1)
    (progress,) = tmp_path.glob("[!.]*/*/jobs/train*pcgrad*/out/progress.jsonl")
    lines = [json.loads(line) for line in progress.read_text().splitlines()]
    assert [line["step"] for line in lines if line["phase"] == "train"] == list(range(1, 17)), (
        "a step is missing or was done twice"
    )
    assert_report(tmp_path)
