"""The main job, whole: `orch launch mtl-comparison --preset smoke` from description to report, for real."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ORCH = Path(sys.executable).with_name("orch")
SHORT = ["--set", "train.config.epochs=2", "--set", "train.config.early_stopping=null"]


def orch(runs: Path, *arguments: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ORCH_RUNS": str(runs), "COLUMNS": "200"}
    return subprocess.run([str(ORCH), *arguments], env=environment, capture_output=True, text=True, timeout=timeout)


def states(runs: Path) -> dict[str, str]:
    result = orch(runs, "status", "--json")
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return {job["job"]: job["state"] for job in document["jobs"]}


def assert_report(runs: Path) -> None:
    shown = orch(runs, "report")
    assert shown.returncode == 0, shown.stderr
    for domain in ("math", "logic", "code", "science", "simulation", "tabular"):
        assert domain in shown.stdout
    (html,) = runs.glob("*/*/jobs/report*/out/report.html")
    text = html.read_text()
    assert "<img" in text or "<svg" in text
    assert "http://" not in text.replace("http://www.w3.org", "")


@pytest.mark.engine
@pytest.mark.timeout(900)
def test_smoke_preset_on_this_machine_from_launch_to_report(tmp_path: Path) -> None:
    result = orch(tmp_path, "launch", "mtl-comparison", "--preset", "smoke", "--cluster", "local", "--watch")
    assert result.returncode == 0, result.stdout + result.stderr
    assert set(states(tmp_path).values()) == {"COMPLETED"}
    assert_report(tmp_path)
    for arm in ("baseline", "pcgrad"):
        (results,) = tmp_path.glob(f"*/*/jobs/train*{arm}*/out/results.json")
        rows = json.loads(results.read_text())["rows"]
        reward = {row["axes"]["moment"]: row["value"] for row in rows if row["metric"] == "validation_reward_mean"}
        assert reward["after"] > reward["before"] + 0.1, f"{arm} did not learn: {reward}"
    again = orch(tmp_path, "launch", "mtl-comparison", "--preset", "smoke", "--cluster", "local", "--no-watch")
    assert again.returncode == 0
    assert not list(tmp_path.glob("*/*/jobs/*/attempt-2")), "a finished job was started again"


@pytest.mark.engine
@pytest.mark.slurm
@pytest.mark.timeout(900)
def test_smoke_preset_on_slurm_from_launch_to_report(slurm: Any, tmp_path: Path) -> None:
    arguments = ["mtl-comparison", "--preset", "smoke", "--cluster", str(slurm.profile), *SHORT]
    result = orch(tmp_path, "launch", *arguments, "--watch")
    assert result.returncode == 0, result.stdout + result.stderr
    assert set(states(tmp_path).values()) == {"COMPLETED"}
    assert_report(tmp_path)
