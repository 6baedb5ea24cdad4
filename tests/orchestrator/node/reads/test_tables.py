"""JSONL and CSV: what a table reader drops or refuses, line by line; Lightning's own file."""

import math
from pathlib import Path

import pytest

from tests.support.frameworks import curves, look


def test_torn_lines_and_late_keys_cost_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    rows = [f'{{"step": {step}, "loss": {1 / step}, "note": "007"}}' for step in range(1, 200)]
    rows[100] = rows[100][:20]
    rows += ['{"step": 200, "late": NaN, "timestamp": 1780000000.5}', '{"step": 201, "lo']
    path.write_text("\n".join(rows))
    running, ended = look("jsonl", path, final=False), look("jsonl", path)
    for found in (running, ended):
        assert len(curves(found)["loss"]) == 198
        assert math.isnan(curves(found)["late"][200])
        assert found.points[-1].time == 1780000000.5
        assert set(curves(found)) == {"loss", "late"}
    assert running.problems == []
    (problem,) = ended.problems
    assert "log.jsonl:101: cannot be read; passed over, as 2 lines are in all" in problem


def test_the_key_that_counts_the_steps(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"it": 5, "loss": 2}\n{"loss": 3}\n{"it": 6.0, "loss": 1}\n')
    found = look("jsonl", path, step="it")
    assert curves(found) == {"loss": {5: 2, 6: 1}}
    assert "1 rows have no whole number under 'it'" in found.problems[0]
    (problem,) = look("jsonl", path).problems
    assert "no row has a whole number under 'step'; keys: it, loss" in problem


def test_rows_of_one_step_in_three_shapes_are_one_step(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 2, "loss": 1}\n{"step": 2, "eval_loss": 3}\n{"step": 2, "took": 9}\n')
    assert curves(look("jsonl", path)) == {"loss": {2: 1}, "eval_loss": {2: 3}, "took": {2: 9}}


def test_the_form_of_verl_and_files_by_life(tmp_path: Path) -> None:
    import os

    for life, steps in enumerate(([1, 2, 3], [2, 3, 4])):
        path = tmp_path / f"life-{1 - life}.jsonl"
        path.write_text(
            "".join(f'{{"step": {step}, "data": {{"score": {life}}}}}\n' for step in steps)
        )
        # By the time they were written, whatever they are called.
        os.utime(path, (1000 + life, 1000 + life))
    found = look("jsonl", tmp_path / "life-*.jsonl")
    assert curves(found) == {"score": {1: 0, 2: 1, 3: 1, 4: 1}}


def test_csv_with_empty_cells_and_a_torn_end(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss,acc,note\n1,0.5,,x\n1,,0.25,y\n2,nan,,\n3,0.1")
    running, ended = look("csv", path, final=False), look("csv", path)
    for found in (running, ended):
        known = curves(found)
        assert known["acc"] == {1: 0.25}
        assert known["loss"][1] == 0.5
        assert math.isnan(known["loss"][2])
        # Half a number is another number.
        assert 3 not in known["loss"]
    assert running.problems == []
    assert "log.csv:5" in ended.problems[0]


def test_numbers_of_a_json_file_are_results_and_no_curve(tmp_path: Path) -> None:
    path = tmp_path / "test.json"
    path.write_text('{\n "accuracy": 0.75, "by": {"math": 0.5, "hard": NaN}, "model": "tiny",\n')
    assert (look("json", path, final=False).problems, look("json", path).rows) == ([], [])
    assert "test.json: holds no JSON object" in look("json", path).problems[0]
    path.write_text(path.read_text() + ' "ok": true, "list": [1], "count": 500}\n')
    found = look("json", path)
    values = {row["metric"]: row["value"] for row in found.rows}
    assert math.isnan(values.pop("by/hard"))
    assert values == {"accuracy": 0.75, "by/math": 0.5, "count": 500}
    assert (found.points, found.problems) == ([], [])
    assert "no such file" in look("json", tmp_path / "other.json").problems[0]


def test_lightning_counts_from_the_step_before_and_a_life_is_a_folder() -> None:
    known = curves(look("lightning", "lightning"))
    # Two epochs of four steps, then the third by the second life.
    assert list(known["train/loss_step"]) == [2, 4, 6, 8, 10, 12]
    assert list(known["val_loss"]) == [4, 8, 12]
    assert known["train/loss_epoch"][4] == 0.15271954238414764


@pytest.mark.parametrize("kind", ["jsonl", "csv", "lightning", "tensorboard", "wandb", "lm_eval"])
def test_what_is_not_there_is_told_at_the_end(kind: str, tmp_path: Path) -> None:
    assert look(kind, tmp_path / "none", final=False).problems == []
    (problem,) = look(kind, tmp_path / "none").problems
    assert problem.startswith(f"reads {kind} {tmp_path}/none: no ")


def test_what_was_written_before_the_job_is_another_jobs(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1, "loss": 1}\n')
    found = look("jsonl", path, began=path.stat().st_mtime + 10)
    assert found.points == []
    assert "1 files are there, and all were written before this job began" in found.problems[0]
