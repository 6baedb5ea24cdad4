"""``import orch`` in a user's script: inside of orch it leaves what everything reads, outside
nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engines.contract.progress import read_progress
from engines.contract.results import read_results
from orchestrator.node.attempt import IMPORTABLE
from tests.support.node import SECONDS, attempt_node, first_exit_record, job_folder
from tests.support.paths import wait_for

pytestmark = pytest.mark.usefixtures("each_program")

TRAINING = """
import time
import orch

print("axes", orch.axes())
latest = orch.latest_checkpoint()
start = 0 if latest is None else int((latest / "model.pt").read_text())
for step in range(start, 4):
    time.sleep(PAUSE)
    orch.progress(step + 1, 4, loss=1 / (step + 1), accuracy=float("nan"))
    (orch.out() / "model.pt").write_text(str(step + 1))
    orch.checkpoint(f"step-{step + 1}", orch.out() / "model.pt", step + 1, best_by="loss",
                    better="lower", loss=1 / (step + 1))
    if orch.stop_requested():
        orch.requeue()
orch.result("accuracy", 0.5, n=10)
orch.result("accuracy", 0.75, n=10)
orch.result("f1", None, error="no positive example", split="test")
"""


def script(tmp_path: Path, pause: float) -> Path:
    (tmp_path / "train.py").write_text(TRAINING.replace("PAUSE", str(pause)))
    # An interpreter that has nothing installed.
    return job_folder(tmp_path, [sys.executable, "-S", "train.py"])


def test_a_script_leaves_what_an_engine_leaves(tmp_path: Path) -> None:
    path = script(tmp_path, 0)
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 0
    out = path / "out"
    rows, document = read_results(out)
    assert [(row.metric, row.value, row.n) for row in rows] == [
        ("accuracy", 0.75, 10),
        ("f1", None, 1),
    ]
    assert "problems" not in document["facts"]
    assert [line["step"] for line in read_progress(out)] == [1, 2, 3, 4]
    assert [line["metrics"] for line in read_progress(out)][3] == {"loss": 0.25}
    assert (out / "checkpoints" / "step-4" / "model" / "model.pt").read_text() == "4"
    assert not list((out / "files" / "checkpoints").glob(".*"))


def test_a_script_that_is_warned_goes_on_where_it_was(tmp_path: Path) -> None:
    path = script(tmp_path, 1)
    first = attempt_node(path, "7")
    wait_for(path / "out" / "files" / "checkpoints" / "step-1" / "manifest.json")
    first.terminate()
    first.wait(timeout=SECONDS)
    record = first_exit_record(path)
    assert (record["exit_code"], record["results"]) == (75, False)
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 0
    steps = [
        json.loads(line)["step"]
        for line in (path / "out" / "progress.jsonl").read_text().splitlines()
    ]
    # No step was done twice.
    assert steps == [1, 2, 3, 4]


def test_outside_of_orch_the_script_runs_and_leaves_only_its_own_files(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAINING.replace("PAUSE", "0"))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ORCH_")}
    environment["PYTHONPATH"] = IMPORTABLE
    done = subprocess.run(
        [sys.executable, "-S", "train.py"], cwd=tmp_path, env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    left = sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*") if one.is_file())
    assert left == ["orch-out/model.pt", "train.py"]


def test_of_several_ranks_the_first_one_writes(tmp_path: Path) -> None:
    code = "import orch; orch.progress(1, loss=1.0); orch.result('a', 1)"
    environment = {**os.environ, "PYTHONPATH": IMPORTABLE, "ORCH_OUT": str(tmp_path / "files")}
    for rank in ("1", "0"):
        subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, "RANK": rank},
            check=True,
            cwd=tmp_path,
        )
        assert (tmp_path / "files").exists() == (rank == "0")


def test_mistakes_are_errors_at_the_line_that_makes_them(tmp_path: Path) -> None:
    for call in ("orch.result('a', None)", "orch.checkpoint('c', '.', 1, best_by='loss')"):
        done = subprocess.run(
            [sys.executable, "-c", f"import orch; {call}"],
            env={**os.environ, "PYTHONPATH": IMPORTABLE},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert "ValueError" in done.stderr


def test_the_wish_to_be_started_again_survives_a_launcher_that_changes_exit_codes(
    tmp_path: Path,
) -> None:
    (tmp_path / "train.py").write_text("import orch\norch.requeue()\n")
    path = job_folder(tmp_path, ["sh", "-c", f"{sys.executable} -S train.py; test -e mended"])
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 75
    assert first_exit_record(path)["exit_code"] == 75
    # Of that start only: the next one has another reason to fail.
    (tmp_path / "train.py").write_text("raise SystemExit(3)\n")
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 1
    assert first_exit_record(path)["exit_code"] == 1


ASKS = """
import orch

assert orch.axes() == orch.needs() == {}
assert orch.checkpoints() == []
assert orch.latest_checkpoint() is None
assert not orch.stop_requested() and not orch.inside()
orch.progress(1, 2, loss=0.5)
orch.result("accuracy", 0.5)
orch.checkpoint("step-1", "ask.py", 1)
"""


def test_outside_of_orch_asking_and_telling_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text(ASKS)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ORCH_")}
    environment["PYTHONPATH"] = IMPORTABLE
    subprocess.run(
        [sys.executable, "-B", "-S", "ask.py"], cwd=tmp_path, env=environment, check=True
    )
    assert [path.name for path in tmp_path.iterdir()] == ["ask.py"]
