"""`orch init`: what it writes runs as it is, and nothing is overwritten."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli.commands.init import Kind
from orchestrator.cli.commands.init import init as write_example
from orchestrator.node import importable
from tests.support.cli import orch
from tests.support.extras import needs
from tests.support.models import byte_tokenizer, qwen2


def init(folder: Path, kind: str) -> None:
    written = orch(folder, "init", kind, "first-try")
    assert written.returncode == 0, written.stderr
    path = folder / "jobs" / "first-try.yaml"
    first = path.read_text().splitlines()[0]
    schema = first.removeprefix("# yaml-language-server: $schema=")
    assert not schema.startswith("/")
    assert json.loads((path.parent / schema).read_text())["title"] == "Experiment of orch"
    assert "NAME" not in path.read_text()


def run(folder: Path, *more: str) -> dict[str, str]:
    """Launch it here; the states of the jobs."""
    launched = orch(folder, "launch", "first-try", "--cluster", "local", "--watch", *more)
    assert launched.returncode == 0, launched.stdout + launched.stderr
    found = json.loads(orch(folder, "status", "first-try", "--json").stdout)["jobs"]
    return {job["job"]: job["state"] for job in found}


def results(folder: Path) -> dict[str, dict[str, float]]:
    """The values by job and metric."""
    found: dict[str, dict[str, float]] = {}
    for path in folder.glob("runs/first-try/*/jobs/*/out/results.json"):
        rows = json.loads(path.read_text())["rows"]
        found[path.parents[1].name] = {row["metric"]: row["value"] for row in rows}
    return found


@needs("torch")
def test_training_runs_here_as_it_is_and_leaves_a_curve_and_checkpoints(tmp_path: Path) -> None:
    init(tmp_path, "train")
    assert run(tmp_path) == {"train/seed=0": "COMPLETED", "train/seed=1": "COMPLETED"}
    assert [set(one) for one in results(tmp_path).values()] == [{"val_loss"}] * 2
    (job, _) = tmp_path.glob("runs/first-try/*/jobs/*/out")
    lines = (job / "progress.jsonl").read_text().splitlines()
    losses = [json.loads(line)["metrics"]["val_loss"] for line in lines]
    assert losses[-1] < losses[0] / 2
    assert {path.name for path in (job / "checkpoints").iterdir()} == {"step-100", "step-200"}


@pytest.mark.long  # as docs/own-script.md does, which a test runs each time
def test_a_sweep_evaluates_the_best_checkpoint_of_what_has_learned_enough(tmp_path: Path) -> None:
    init(tmp_path, "sweep")
    states = run(tmp_path)
    trained = [state for name, state in states.items() if name.startswith("train")]
    evaluated = [state for name, state in states.items() if name.startswith("evaluate")]
    assert trained == ["COMPLETED"] * 6
    assert set(evaluated) == {"COMPLETED", "SKIPPED"}
    for name, values in results(tmp_path).items():
        if name.startswith("evaluate"):
            assert values["mean_error"] <= values["largest_error"]


def test_the_checkpoints_of_a_folder_are_evaluated(tmp_path: Path) -> None:
    init(tmp_path, "evaluate")
    assert set(run(tmp_path).values()) == {"COMPLETED"}
    first, second = (results(tmp_path)[f"evaluate.checkpoint-step-{step}"] for step in (100, 200))
    # Counted over again from the files that were written, without the script.
    folder = tmp_path / "jobs" / "first-try"
    examples = [json.loads(line) for line in (folder / "data.jsonl").read_text().splitlines()]
    right = [(one["x"][0] > 0) == one["label"] for one in examples]
    assert first == {"accuracy": sum(right) / len(right)}
    assert second["accuracy"] > first["accuracy"]


@pytest.mark.long
def test_a_language_model_is_fine_tuned_on_the_written_questions(tmp_path: Path) -> None:
    """A training that starts transformers three times."""
    init(tmp_path, "finetune")
    assert set(run(tmp_path).values()) == {"COMPLETED"}
    tuned = {name: one for name, one in results(tmp_path).items() if name.startswith("finetune")}
    assert len(tuned) == 2
    # Below the loss of guessing among the 258 bytes and marks.
    assert all(one["eval_loss"] < 5.5 for one in tuned.values())
    for job in tmp_path.glob("runs/first-try/*/jobs/finetune*/out/checkpoints/*"):
        assert json.loads((job / "manifest.json").read_text())["format"] == "huggingface"


@needs("torch", "transformers", "accelerate")
def test_the_loss_of_a_tuned_model_is_one_per_token(tmp_path: Path) -> None:
    """Ten rows are held out, in batches of eight and two; the first is longer than all others. The
    mean over batches, which the Trainer itself gives, is another number."""
    import torch
    from transformers import AutoModelForCausalLM

    init(tmp_path, "finetune")
    out, data = tmp_path / "out", tmp_path / "data.jsonl"
    out.mkdir()
    rows = [{"prompt": "say", "response": "ab" * (40 if n == 0 else 1)} for n in range(50)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    qwen2(vocab_size=257, eos_token_id=256).save_pretrained(tmp_path / "model")
    tokenizer = byte_tokenizer()
    tokenizer.save_pretrained(tmp_path / "model")
    script = tmp_path / "jobs" / "first-try" / "finetune.py"
    command = [sys.executable, str(script), "--model", str(tmp_path / "model")]
    command += ["--data", str(data), "--lr", "0.01", "--steps", "10"]
    paths = {"ORCH_OUT": str(out), "PYTHONPATH": importable.__path__[0]}
    subprocess.run(command, check=True, env=os.environ | paths, cwd=tmp_path)

    model = AutoModelForCausalLM.from_pretrained(out / "checkpoints" / "step-10" / "model")
    losses: list[float] = []
    for row in rows[:10]:
        prompt, response = (tokenizer(row[name])["input_ids"] for name in ("prompt", "response"))
        ids = torch.tensor([*prompt, *response, 256])
        with torch.no_grad():
            logits = model(ids[None]).logits[0, len(prompt) - 1 : -1]
        wanted = ids[len(prompt) :]
        losses += torch.nn.functional.cross_entropy(logits, wanted, reduction="none").tolist()
    (found,) = json.loads((out / "results.json").read_text())["rows"]
    assert found["metric"] == "eval_loss"
    assert found["value"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    manifest = json.loads((out / "checkpoints" / "step-10" / "manifest.json").read_text())
    assert manifest["metrics"]["eval_loss"] == found["value"]


def test_files_that_are_there_stay(tmp_path: Path) -> None:
    assert orch(tmp_path, "init").returncode == 0
    path = tmp_path / "jobs" / "train.yaml"
    path.write_text("mine")
    again = orch(tmp_path, "init", "train")
    assert again.returncode == 2
    assert again.stderr.splitlines() == [
        "orch: jobs/train.yaml: is there already; take another name, or remove it"
    ]
    assert path.read_text() == "mine"
    path.unlink()
    # Its scripts are as much somebody's own by now.
    assert orch(tmp_path, "init", "train").returncode == 2
    assert not path.exists()


def test_a_name_that_no_experiment_may_have_is_one_line(tmp_path: Path) -> None:
    refused = orch(tmp_path, "init", "train", "../mine")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert not (tmp_path / "jobs").exists()


def test_packages_that_are_not_here_are_told_before_the_first_job_dies_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # As where it is not installed.
    monkeypatch.setitem(sys.modules, "torch", None)
    write_example(Kind.train, "")
    first, second = capsys.readouterr().out.splitlines()
    assert "orch launch train --cluster local --watch" in first
    assert second == "first install what its scripts import: pip install torch"
    write_example(Kind.evaluate, "")
    (only,) = capsys.readouterr().out.splitlines()
    assert "orch launch evaluate" in only
