"""What transformers' Trainer has left after two lives, and after a loss that was NaN."""

import json
import math
import os
import shutil
from pathlib import Path

import pytest

from engines.contract.checkpoints import fingerprint, listed, select
from orchestrator.node.own_results import selected_checkpoints
from orchestrator.node.reads.checkpoints import keep_manifests
from tests.support.frameworks import FRAMEWORKS, curves, look


def laid_out(folder: Path, name: str) -> Path:
    """A training whose files were written in the order in which they were."""
    copy = folder / name
    shutil.copytree(FRAMEWORKS / "trainer" / name, copy)
    for time, part in enumerate(("checkpoint-4", "checkpoint-8", ".")):
        os.utime(copy / part / "trainer_state.json", (1000 + 60 * time, 1000 + 60 * time))
    return copy


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """The training of two lives."""
    return laid_out(tmp_path, "good")


def test_rows_of_three_shapes_are_one_curve_each(trained: Path) -> None:
    found = look("trainer", trained)
    known = curves(found)
    assert list(known["loss"]) == [2, 4, 6, 8]
    assert list(known["eval_loss"]) == [4, 8]
    # The closing row is of the last step as well.
    assert known["train_loss"][8] == pytest.approx(0.762188166)
    assert {point.total for point in found.points} == {8}
    # Only of a step with a checkpoint is it known when it was reached.
    assert {point.step: point.time for point in found.points if point.time} == {4: 1000, 8: 1060}
    assert found.problems == []


def test_what_the_script_saved_of_its_own_is_a_result(trained: Path) -> None:
    assert {row["metric"]: row["value"] for row in look("trainer", trained).rows}[
        "perplexity"
    ] == 2.5


def test_an_evaluation_alone_leaves_its_results(tmp_path: Path) -> None:
    # As `Trainer.save_metrics("eval", ...)` of transformers 5.19 writes it, without a training.
    (tmp_path / "scores").mkdir()
    written = '{\n    "eval_accuracy": 0.7265625,\n    "eval_loss": 0.6413\n}'
    (tmp_path / "scores" / "all_results.json").write_text(written)
    found = look("trainer", tmp_path)
    values = {row["metric"]: row["value"] for row in found.rows}
    assert values == {"eval_accuracy": 0.7265625, "eval_loss": 0.6413}
    assert (found.problems, found.checkpoints) == ([], [])
    # Of a training it is a part, whatever else lies beside it.
    trained = laid_out(tmp_path, "good")
    assert {row["metric"] for row in look("trainer", trained).rows} > {"perplexity"}


def test_a_loss_that_was_nan_is_no_0(tmp_path: Path) -> None:
    found = look("trainer", laid_out(tmp_path, "nan"))
    known = curves(found)
    for metric in ("loss", "eval_loss", "train_loss"):
        assert all(math.isnan(value) for value in known[metric].values())
    assert [math.isnan(row["value"]) for row in found.rows if row["metric"] == "train_loss"] == [
        True
    ]
    assert (
        "first at step 2: transformers writes so a loss that is not a number" in found.problems[0]
    )
    # A perfect loss is none of these.
    state = {"global_step": 1, "log_history": [{"step": 1, "loss": 0.0, "grad_norm": 0.0}]}
    (tmp_path / "fine").mkdir()
    (tmp_path / "fine" / "trainer_state.json").write_text(json.dumps(state))
    assert curves(look("trainer", tmp_path / "fine"))["loss"] == {1: 0.0}


def test_manifests_are_those_of_an_engine(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = look("trainer", trained)
    keep_manifests(str(out), found.checkpoints)
    checkpoints, problems = listed(out)
    assert problems == []
    assert [(one.manifest.name, one.manifest.step) for one in checkpoints] == [
        ("checkpoint-4", 4),
        ("checkpoint-8", 8),
    ]
    (best,) = select(out, "best")
    assert best.manifest.metrics["eval_loss"] == 0.5078798532485962
    assert best.manifest.fingerprint == fingerprint(trained / "checkpoint-8")
    source = {"folder": str(out), "checkpoints": "best"}
    assert selected_checkpoints(source)[0]["name"] == "checkpoint-8"


def test_the_best_goes_by_what_the_stage_names(trained: Path) -> None:
    found = look("trainer", trained, better={"f1": "higher", "loss": "higher"})
    assert {(one["rank_by"], one["better"]) for one in found.checkpoints} == {("loss", "higher")}
    # Without it, by what the Trainer itself took for the best.
    assert {one["rank_by"] for one in look("trainer", trained).checkpoints} == {"eval_loss"}


def test_the_trainers_own_metric_is_known_by_its_best_value(tmp_path: Path) -> None:
    history = [{"step": step, "eval_acc": step / 10, "eval_loss": 1.0} for step in (1, 2, 3)]
    for step in (1, 3):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"weights")
        state = {"global_step": step, "best_metric": step / 10, "best_global_step": step}
        state["log_history"] = history[:step]
        (folder / "trainer_state.json").write_text(json.dumps(state))
    found = look("trainer", tmp_path)
    assert {(one["rank_by"], one["better"]) for one in found.checkpoints} == {
        ("eval_acc", "higher")
    }


@pytest.mark.parametrize("damage", ["empty", "torn", "marked", "no state", "no weights"])
def test_half_a_checkpoint_is_none(trained: Path, damage: str) -> None:
    newest = trained / "checkpoint-8"
    state = newest / "trainer_state.json"
    if damage == "empty":
        for file in newest.iterdir():
            file.unlink()
    elif damage == "torn":
        state.write_text(state.read_text()[:100])
    elif damage == "marked":
        (newest / "checkpoint-is-incomplete.txt").touch()
    elif damage == "no state":
        state.unlink()
    else:
        (newest / "model.safetensors").unlink()
    found = look("trainer", trained)
    assert [one["name"] for one in found.checkpoints] == ["checkpoint-4"]
    # The curve is whole all the same: the state beside the checkpoints has it.
    assert list(curves(found)["loss"]) == [2, 4, 6, 8]


def test_manifests_follow_what_is_removed_and_written_again(trained: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    found = look("trainer", trained)
    keep_manifests(str(files), found.checkpoints)
    before = (files / "checkpoints" / "checkpoint-8" / "manifest.json").stat()
    keep_manifests(str(files), found.checkpoints)
    # Not hashed again, and not written again.
    assert (files / "checkpoints" / "checkpoint-8" / "manifest.json").stat() == before
    own = files / "checkpoints" / "mine" / "model"
    own.mkdir(parents=True)
    shutil.rmtree(trained / "checkpoint-4")
    (trained / "checkpoint-8" / "model.safetensors").write_bytes(b"other weights")
    os.utime(trained / "checkpoint-8" / "trainer_state.json")
    later = before.st_mtime + 5
    os.utime(trained / "checkpoint-8" / "trainer_state.json", (later, later))
    old = json.loads((files / "checkpoints" / "checkpoint-8" / "manifest.json").read_text())
    keep_manifests(str(files), look("trainer", trained).checkpoints)
    assert sorted(path.name for path in (files / "checkpoints").iterdir()) == [
        "checkpoint-8",
        "mine",
    ]
    new = json.loads((files / "checkpoints" / "checkpoint-8" / "manifest.json").read_text())
    assert new["fingerprint"] != old["fingerprint"]


def test_a_run_that_is_moved_keeps_checkpoints_that_lie_in_it(
    trained: Path, tmp_path: Path
) -> None:
    files = tmp_path / "run" / "files"
    (files / "model").mkdir(parents=True)
    shutil.move(trained, files / "model" / "good")
    keep_manifests(str(files), look("trainer", files).checkpoints)
    (tmp_path / "run").rename(tmp_path / "moved")
    assert (
        select(tmp_path / "moved" / "files", "last")[0].model.joinpath("model.safetensors").exists()
    )


def test_several_trainers_in_one_place_are_told(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "both" / "old")
    shutil.copytree(trained, tmp_path / "both" / "new")
    for path in (tmp_path / "both" / "new").rglob("trainer_state.json"):
        os.utime(path, (2000, 2000))
    found = look("trainer", tmp_path / "both")
    assert "several Trainers have written here (new, old); only the last, new," in found.problems[0]
    assert {Path(one["folder"]).parent.name for one in found.checkpoints} == {"new"}
