"""The reader beside a command: what it leaves is what an engine leaves, and nothing of it ends the
job."""

import json
import os
import time
from pathlib import Path
from typing import Any

from engines.contract.checkpoints import select
from engines.contract.progress import read_progress
from engines.contract.results import read_results
from orchestrator.node import reading
from orchestrator.node.reads.output import Reading, read_finished
from tests.support.frameworks import FRAMEWORKS
from tests.support.node import attempt_node, job_folder

SECONDS = 120


def with_reads(folder: Path, command: list[str], *entries: dict[str, str], **more: str) -> Path:
    """A job that reads."""
    path = job_folder(folder, command)
    job = json.loads((path / "job.json").read_text())
    full = [{"step": "", **entry} for entry in entries]
    (path / "job.json").write_text(json.dumps({**job, "reads": {"from": full, "better": more}}))
    return path


def facts(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_results(path / "out")[1]["facts"]
    return found


def test_what_a_program_wrote_is_progress_results_and_checkpoints(tmp_path: Path) -> None:
    copy = f'cp -r {FRAMEWORKS / "trainer" / "good"} "$ORCH_OUT/trained"'
    path = with_reads(tmp_path, ["sh", "-c", copy], {"kind": "trainer", "path": "$ORCH_OUT"})
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 0
    lines = read_progress(path / "out")
    assert [line["step"] for line in lines] == [2, 4, 6, 8]
    assert lines[-1]["total"] == 8
    rows = {row.metric: row.value for row in read_results(path / "out")[0]}
    assert rows["eval_loss"] == 0.5078798532485962
    assert rows["loss"] == 0.45553070306777954
    assert select(path / "out", "best")[0].manifest.name == "checkpoint-8"
    assert "problems" not in facts(path)


def test_the_commands_own_rows_and_lines_stay(tmp_path: Path) -> None:
    script = (
        "import orch, json\n"
        "orch.progress(1, 2, mine=5.0)\n"
        "orch.result('loss', 7.0, n=3)\n"
        "with open('log.jsonl', 'w') as file:\n"
        "    for step in (1, 2):\n"
        "        file.write(json.dumps({'step': step, 'loss': 1 / step, 'acc': step}) + '\\n')\n"
    )
    (tmp_path / "train.py").write_text(script)
    path = with_reads(tmp_path, ["python3", "train.py"], {"kind": "jsonl", "path": "log.jsonl"})
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 0
    assert [line["metrics"] for line in read_progress(path / "out")] == [
        {"mine": 5.0, "loss": 1.0, "acc": 1},
        {"loss": 0.5, "acc": 2},
    ]
    rows = {row.metric: (row.value, row.n) for row in read_results(path / "out")[0]}
    assert rows == {"loss": (7.0, 3), "acc": (2, 1)}


def test_status_follows_while_the_command_runs(tmp_path: Path) -> None:
    script = 'printf \'{"step": 3, "loss": 1}\\n\' > log.jsonl; until [ -e go ]; do sleep 0.1; done'
    path = with_reads(tmp_path, ["sh", "-c", script], {"kind": "jsonl", "path": "log.jsonl"})
    started = attempt_node(path, "7")
    deadline = time.monotonic() + 120
    while not read_progress(path / "out"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert started.poll() is None
    (tmp_path / "go").touch()
    assert started.wait(timeout=SECONDS) == 0


def test_a_reader_that_dies_is_told_once_and_the_job_is_done(tmp_path: Path) -> None:
    # Where it would write is no folder any more.
    script = 'rm -r "$ORCH_OUT/../read"; touch "$ORCH_OUT/../read"'
    path = with_reads(tmp_path, ["sh", "-c", script], {"kind": "jsonl", "path": "log.jsonl"})
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 0
    assert json.loads((path / "attempt-1" / "exit.json").read_text())["results"]
    (problem,) = facts(path)["problems"]
    assert "the reader has ended before it read the first time" in problem
    assert (path / "attempt-1" / "log.txt").read_text().count(problem) == 1


def test_what_is_wrong_is_told_in_the_log_and_with_the_results(tmp_path: Path) -> None:
    path = with_reads(tmp_path, ["true"], {"kind": "lm_eval", "path": "nowhere"})
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 0
    (problem,) = facts(path)["problems"]
    assert problem.startswith("reads lm_eval nowhere: no results_*.json")
    assert (path / "attempt-1" / "log.txt").read_text().count(problem) == 1


def test_a_command_that_fails_leaves_its_curve(tmp_path: Path) -> None:
    script = 'printf \'{"step": 3, "loss": NaN, "acc": 1}\\n\' > log.jsonl; exit 3'
    path = with_reads(tmp_path, ["sh", "-c", script], {"kind": "jsonl", "path": "log.jsonl"})
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 3
    assert [line["metrics"] for line in read_progress(path / "out")] == [{"acc": 1}]
    assert not (path / "out" / "results.json").exists()


def test_a_value_that_is_not_finite_is_a_reason(tmp_path: Path) -> None:
    script = 'printf \'{"step": 3, "loss": NaN}\\n\' > log.jsonl'
    path = with_reads(tmp_path, ["sh", "-c", script], {"kind": "jsonl", "path": "log.jsonl"})
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 0
    (row,) = read_results(path / "out")[0]
    assert (row.metric, row.value, row.error) == ("loss", None, "the value was nan")


def test_a_log_that_a_second_life_deletes_is_kept(tmp_path: Path) -> None:
    path = with_reads(tmp_path, ["true"], {"kind": "jsonl", "path": "log.jsonl"})
    log = tmp_path / "log.jsonl"
    os.makedirs(path / "out" / "files")  # noqa: PTH103  # as the node does
    reading.prepare(str(path / "out"))
    for life, steps in enumerate(([1, 2, 3], [3, 4])):
        log.write_text("".join(f'{{"step": {one}, "life": {life}}}\n' for one in steps))
        Reading(str(path)).look(final=False)
    # A look that finds nothing takes nothing away.
    log.write_text("")
    Reading(str(path)).look(final=False)
    found = {line["step"]: line["metrics"]["life"] for line in read_progress(path / "out")}
    assert found == {1: 0, 2: 0, 3: 1, 4: 1}


def test_a_finished_job_is_read_again_by_other_reads(tmp_path: Path) -> None:
    script = 'printf \'{"step": 3, "loss": 1}\\n\' > log.jsonl'
    path = job_folder(tmp_path, ["sh", "-c", script])
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 0
    assert read_results(path / "out")[0] == []
    job = json.loads((path / "job.json").read_text())
    entry = {"kind": "jsonl", "path": "log.jsonl", "step": ""}
    (path / "job.json").write_text(json.dumps({**job, "reads": {"from": [entry], "better": {}}}))
    assert read_finished(str(path)) == []
    assert [(row.metric, row.value) for row in read_results(path / "out")[0]] == [("loss", 1)]
    assert [line["step"] for line in read_progress(path / "out")] == [3]
