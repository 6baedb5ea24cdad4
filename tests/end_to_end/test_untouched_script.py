"""docs/own-script.md, the part on scripts that nobody wants to touch: a Trainer of transformers with
a gate on its loss and an evaluation of its best checkpoint, and a plain loop with files of its
own."""

import json
import re
import sys
from pathlib import Path

from engines.contract.checkpoints import select
from engines.contract.progress import read_progress
from tests.support.cli import orch
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "own-script.md").read_text()


def write_files(folder: Path, *names: str) -> None:
    """Those files that the page shows, with the Python of the tests."""
    (folder / "jobs").mkdir()
    for text in re.findall(r"```\w+\n(.*?)```", PAGE, re.DOTALL):
        name = text.splitlines()[0].removeprefix("# ")
        if name in names:
            (folder / name).write_text(text.replace("python ", f"{sys.executable} "))


def test_a_plain_loop_that_is_left_as_it_is(tmp_path: Path) -> None:
    write_files(tmp_path, "loop.py", "test_loop.py", "jobs/loop.yaml")
    launched = orch(tmp_path, "launch", "loop", "--cluster", "local", "--watch")
    assert launched.returncode == 0, launched.stdout + launched.stderr
    said = json.loads(orch(tmp_path, "results", "loop", "--json").stdout)["rows"]
    errors = {row["job"]: row["value"] for row in said if row["metric"] == "test_error"}
    assert errors.keys() == {"test/seed=0", "test/seed=1"}
    assert max(errors.values()) < 0.1
    for path in (tmp_path / "runs").glob("loop/*/jobs/train*/out"):
        assert [line["step"] for line in read_progress(path)] == list(range(1, 41))


def test_a_trainer_that_is_left_as_it_is(tmp_path: Path) -> None:
    write_files(tmp_path, "finetune.py", "score.py", "jobs/finetune.yaml")
    launched = orch(tmp_path, "launch", "finetune", "--cluster", "local", "--watch")
    assert launched.returncode == 0, launched.stdout + launched.stderr
    said = orch(tmp_path, "results", "finetune", "--json")
    found = {(row["job"], row["metric"]): row["value"] for row in json.loads(said.stdout)["rows"]}
    assert found["tune/lr=0.02", "eval_loss"] < 1.5 < found["tune/lr=1e-06", "eval_loss"]
    # The gate let one through, and its best checkpoint has learned.
    scores = {job: value for (job, metric), value in found.items() if metric == "counts_on"}
    assert scores == {"score/lr=0.02": 1.0}
    (out,) = (path / "out" for path in (tmp_path / "runs").glob("finetune/*/jobs/tune*0.02*"))
    lines = read_progress(out)
    assert [line["step"] for line in lines] == [10, 20, 30, 40, 50, 60]
    assert lines[-1]["total"] == 60
    losses = {line["step"]: line["metrics"].get("eval_loss") for line in lines}
    (best,) = select(out, "best")
    assert losses[best.manifest.step] == min(value for value in losses.values() if value)
    status = orch(tmp_path, "status", "finetune")
    assert status.returncode == 0, status.stderr
