"""What is decided while a run goes on, on a real Slurm: the best job, by what a framework has
written, the points of a search, and `orch wait` for the end."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import SMALL, describe, orch, the_run
from tests.support.private_slurm import PrivateSlurm

FIT = """import json, os, sys
rate = float(sys.argv[1])
with open(os.environ["ORCH_OUT"] + "/log.jsonl", "w") as file:
    for step in (1, 2):
        print(json.dumps({"step": step, "loss": (rate - 0.3) ** 2 + 1 / step}), file=file)
"""
"""A script that knows nothing of orch and logs as frameworks do."""

READS = "reads: {kind: jsonl, path: $ORCH_OUT/log.jsonl}, metrics: {loss: {better: lower}}"


def launched(slurm: PrivateSlurm, folder: Path, stages: str, last: str = "") -> Path:
    """Launch and wait for the end; the run's folder. ``last``: no command of orch is called before
    this job, by its folder, has left results."""
    (folder / "fit.py").write_text(FIT)
    file = describe(folder, stages)
    begun = orch(folder, "launch", file, "--cluster", slurm.profile, "--no-watch")
    assert begun.returncode == 0, begun.stderr
    run = the_run(folder)
    deadline = time.monotonic() + 200
    while last and not (run / "jobs" / last / "out" / "results.json").exists():
        assert time.monotonic() < deadline, (run / "state.json").read_text()
        time.sleep(0.3)
    if not last:
        early = orch(folder, "wait", "--timeout", "0")
        assert early.returncode == 124, early.stdout
    waited = orch(folder, "wait", "--timeout", "200")
    assert waited.returncode == 0, waited.stdout + waited.stderr
    return run


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    """The losses by job."""
    rows = json.loads(orch(folder, "results", "--json").stdout)["rows"]
    return {row["job"]: row for row in rows if row["metric"] == "loss"}


def test_the_best_by_what_a_framework_wrote_is_followed_and_waited_for(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    run = launched(
        slurm,
        tmp_path,
        f"  fit: {{command: '{sys.executable} fit.py {{lr}}', matrix: {{lr: [0.1, 0.25, 0.9]}}, "
        f"{READS}, {SMALL}}}\n"
        f"  last: {{command: \"sh -c 'echo {{lr}} > chosen'\", for_each: {{of: fit, best: loss}}, "
        f"{SMALL}}}\n",
    )
    losses = {job: row["value"] for job, row in rows_of(tmp_path).items()}
    assert losses == pytest.approx(
        {f"fit/lr={lr}": (lr - 0.3) ** 2 + 0.5 for lr in (0.1, 0.25, 0.9)}
    )
    assert (tmp_path / "chosen").read_text() == "0.25\n"
    assert "follows: fit/lr=0.25, final" in orch(tmp_path, "why", "last").stdout
    # It was chosen when the last of them had ended, and submitted once.
    assert [path.name for path in (run / "jobs" / "last").glob("attempt-*")] == ["attempt-1"]


def test_the_second_round_of_a_search_is_drawn_by_the_look_that_slurm_starts(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    pytest.importorskip("optuna")
    run = launched(
        slurm,
        tmp_path,
        f"  fit: {{command: '{sys.executable} fit.py {{lr}}', search: {{metric: loss, rounds: 2, "
        f"n: 2, axes: {{lr: {{uniform: [0, 1]}}}}}}, {READS}, {SMALL}}}\n",
        last="fit.point-3",
    )
    rounds = json.loads((run / "searches" / "fit.json").read_text())["rounds"]
    points = [point["lr"] for one in rounds for point in one["points"]]
    losses = {job: row["value"] for job, row in rows_of(tmp_path).items()}
    assert losses == pytest.approx(
        {f"fit/point={number}": (lr - 0.3) ** 2 + 0.5 for number, lr in enumerate(points)}
    )
    assert [one["value"] for one in rounds[1]["told"]] == [
        losses["fit/point=0"],
        losses["fit/point=1"],
    ]
    for folder in (run / "jobs").iterdir():
        assert [path.name for path in folder.glob("attempt-*")] == ["attempt-1"]
