"""`orch evolve` of a run whose evaluation is a command: that command scores every checkpoint."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import DescriptionError, RunError
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.run import Run
from orchestrator.scores.evolution import read_evolution
from orchestrator.scores.evolve import evolve
from orchestrator.scores.trainings import Request
from tests.support.builders import PLANNED
from tests.support.cli import SMALL, describe, orch

TRAIN = """
import json, sys, orch
for step in (10, 20, 30):
    saved = orch.out() / "saved"
    (saved / "part").mkdir(parents=True, exist_ok=True)
    (saved / "part" / "state.pt").write_text(json.dumps([float(sys.argv[1]), step]))
    orch.checkpoint(f"step-{step}", saved, step, best_by="loss", better="lower", loss=1 / step)
"""
EVALUATE = """
import json, sys, orch
(model,) = orch.checkpoints()
assert str(model) == sys.argv[1]
(prepared, trained) = sorted(orch.needs())
rate, step = json.loads((model / "part" / "state.pt").read_text())
assert orch.axes()["lr"] == rate
orch.result("error", rate * abs(step - 20), n=5, task=sys.argv[2])
"""
STAGES = f"""
  prepare: {{command: "true", {SMALL}}}
  train: {{command: "{sys.executable} train.py {{lr}}", matrix: {{lr: [0.5, 0.25]}}, {SMALL}}}
  evaluate: {{command: "{sys.executable} evaluate.py {{checkpoint}} {{task}}", for_each: train,
             after: prepare, checkpoints: last, matrix: {{task: [math]}},
             metrics: {{error: {{better: lower}}}}, {SMALL}}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCH_RUNS", str(tmp_path / "runs"))
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "evaluate.py").write_text(EVALUATE)
    return tmp_path


def created(folder: Path, stages: str = STAGES) -> Run:
    """The run before anything ran."""
    return create_run(make_plan(describe(folder, stages)), PLANNED, folder / "runs")


def leave(run: Run, job: str, name: str, step: int) -> None:
    """A checkpoint as a command of that job leaves one."""
    model = run.out_folder(run.by_name[job]) / "files" / "checkpoints" / name / "model"
    model.mkdir(parents=True)
    (model / "state.pt").write_text(f"{job} {step}")
    manifest: dict[str, Any] = {"name": name, "step": step, "epoch": 0, "metrics": {}}
    manifest |= {"format": "files", "fingerprint": f"{job} {step}", "complete": True}
    (model.parent / "manifest.json").write_text(json.dumps(manifest))
    door = run.out_folder(run.by_name[job]) / "checkpoints"
    if not door.is_symlink():
        door.symlink_to(Path("files", "checkpoints"))


def done(run: Run, job: str, **facts: Any) -> None:
    """Results of a command."""
    out = run.out_folder(run.by_name[job])
    out.mkdir(parents=True, exist_ok=True)
    document = {"schema": 1, "engine": "command", "config": {}, "rows": [], "seconds": 1.0}
    (out / "results.json").write_text(json.dumps({**document, "facts": facts}))


def evaluated(made: Run) -> list[str]:
    return [job.name for job in made.plan.jobs if job.stage == "evaluate"]


def test_every_checkpoint_is_scored_by_the_runs_own_command(folder: Path) -> None:
    launched = orch(folder, "launch", describe(folder, STAGES), "--cluster", "local", "--watch")
    assert launched.returncode == 0, launched.stdout + launched.stderr
    done = orch(folder, "evolve", "trial", "--checkpoints", "all", "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    # The last checkpoint was the run's own evaluation's, which is not done again.
    assert "evaluate/lr=0.5,task=math of the run has scored step-30" in done.stdout
    # On disk, new to the evolution, to score.
    assert ["train", "0.5", "3", "3", "2"] in [line.split() for line in done.stdout.splitlines()]
    found = json.loads(orch(folder, "results", "trial-evolution", "--json").stdout)["rows"]
    assert {(row["lr"], row["step"], row["task"]): row["value"] for row in found} == {
        (0.5, 10, "math"): 5.0,
        (0.5, 20, "math"): 0.0,
        (0.25, 10, "math"): 2.5,
        (0.25, 20, "math"): 0.0,
    }
    report = orch(folder, "report", "trial-evolution").stdout
    assert "lr=0.5, task=math: error, task=math is best at step-20 (step 20): 0" in " ".join(
        report.split()
    )
    # Both trainings, each with all three of its checkpoints.
    (tidy,) = (folder / "runs" / "trial-evolution").glob("*/jobs/report*/out/tidy.csv")
    assert len(tidy.read_text().splitlines()) == 1 + 6
    again = orch(folder, "evolve", "trial")
    assert ["train", "0.5", "3", "0", "0"] in [line.split() for line in again.stdout.splitlines()]


def test_a_checkpoint_that_is_new_later_is_added_and_one_that_goes_is_kept(folder: Path) -> None:
    run = created(folder)
    done(run, "prepare")
    leave(run, "train/lr=0.5", "step-10", 10)
    made, _ = evolve(Request(source=run), lambda _: None)
    assert evaluated(made) == ["evaluate/lr=0.5,task=math,step=10"]
    job = made.by_name["evaluate/lr=0.5,task=math,step=10"]
    written = json.loads((made.job_folder(job) / "job.json").read_text())
    assert (written["cwd"], written["needs"]) == (str(folder), {})
    assert sorted(written["beside"]) == ["prepare", "train/lr=0.5"]
    (model,) = made.job_folder(job).glob("models/checkpoints/step-10/model/state.pt")
    (gone,) = run.out_folder(run.by_name["train/lr=0.5"]).glob("files/checkpoints/*/model/state.pt")
    gone.unlink()
    assert model.read_text() == "train/lr=0.5 10"
    leave(run, "train/lr=0.5", "step-20", 20)
    # The same weights in another training are another evaluation: its command has other axes.
    leave(run, "train/lr=0.25", "step-20", 20)
    grown, _ = evolve(Request(source=run), lambda _: None)
    assert grown.folder == made.folder
    assert evaluated(grown) == [
        "evaluate/lr=0.5,task=math,step=10",
        "evaluate/lr=0.5,task=math,step=20",
        "evaluate/lr=0.25,task=math,step=20",
    ]
    evolution = read_evolution(grown.folder)
    assert evolution is not None
    report = grown.plan.jobs[-1]
    assert (report.engine, report.config["higher"]) == ("analysis.measured", {"error": False})
    assert len(report.after) == 3


def test_nothing_is_scored_before_what_the_command_needs_beside_is_done(folder: Path) -> None:
    run = created(folder)
    leave(run, "train/lr=0.5", "step-10", 10)
    told: list[str] = []
    made, _ = evolve(Request(source=run), told.append)
    assert evaluated(made) == []
    assert "train/lr=0.5: evaluate/lr=0.5,task=math needs prepare too; call again then" in told


def test_a_command_that_leaves_checkpoints_for_others_is_a_training(folder: Path) -> None:
    stages = f"""
  train: {{command: "{sys.executable} train.py 1", {SMALL}}}
  tune: {{command: "{sys.executable} train.py {{checkpoint}}", for_each: train, checkpoints: best,
         {SMALL}}}
  score: {{command: "{sys.executable} evaluate.py {{checkpoint}}", for_each: tune,
          checkpoints: last, {SMALL}}}
"""
    run = created(folder, stages)
    leave(run, "train", "step-5", 5)
    leave(run, "tune", "step-6", 6)
    made, _ = evolve(Request(source=run), lambda _: None)
    (part,) = (read_evolution(made.folder) or pytest.fail("none")).parts
    assert (part.training, part.by) == ("tune", "score")


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"overrides": ("evaluate.config.limit=3",)}, "only evaluate.resources can be set here"),
        ({"per_job": 4}, "--per-job: the checkpoints of this run are scored by the command"),
        ({"base": Path("b")}, "--base: the checkpoints of this run are scored by the command"),
    ],
)
def test_what_means_the_engine_is_refused(
    folder: Path, request_: dict[str, Any], said: str
) -> None:
    run = created(folder)
    leave(run, "train/lr=0.5", "step-10", 10)
    with pytest.raises((RunError, DescriptionError), match=said):
        evolve(Request(source=run, **request_), lambda _: None)


def test_other_resources_may_be_asked_for(folder: Path) -> None:
    run = created(folder)
    done(run, "prepare")
    leave(run, "train/lr=0.5", "step-10", 10)
    made, _ = evolve(
        Request(source=run, overrides=("evaluate.resources.minutes=9",)), lambda _: None
    )
    assert made.by_name["evaluate/lr=0.5,task=math,step=10"].resources.minutes == 9
