"""What a status says of the models of a run, and what a relaunch does about the holes."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.description.profile import Profile
from orchestrator.runs.create import create_run
from orchestrator.runs.record import JobState
from orchestrator.runs.run import Run
from orchestrator.views.inventory import inventory, inventory_lines
from tests.support.builders import planned
from tests.support.cli import jobs, orch, states

TRAINING: dict[str, Any] = {
    "engine": "fsm",
    "config": {"machines": "5s5a", "architecture": "lstm-small"},
}


def new_run(folder: Path) -> Run:
    stages: dict[str, Any] = {
        "base": {**TRAINING, "matrix": {"seed": [1, 2]}},
        "tune": {
            "engine": "fsm",
            "for_each": "base",
            "matrix": {"epochs": [1, 2, 3]},
            "config": {**TRAINING["config"], "initial": {"of": "base", "checkpoint": "best"}},
        },
        "probe-base": {"engine": "probe", "for_each": "base", "checkpoints": "best"},
        "probe-tune": {"engine": "probe", "for_each": "tune", "checkpoints": "best"},
        "look": {"command": "look {epochs}", "for_each": "tune"},
    }
    plan = planned({"experiment": "e", "stages": stages}, folder)
    return create_run(plan, Profile(kind="local"), folder / "runs")


def said(run: Run, done: set[str], **others: JobState) -> list[str]:
    records = [
        replace(record, state=JobState.COMPLETED) if record.name in done else record
        for record in run.load()
    ]
    records = [replace(one, state=others.get(one.stage, one.state)) for one in records]
    return inventory_lines(inventory(run, records))


def test_the_models_of_all_stages_are_counted_together(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    assert said(run, set()) == ["models 8: trained 0, probed 0, look 0 of 6"]
    done = {"base/seed=1", "probe-base/seed=1", "tune/seed=1,epochs=2", "look/seed=1,epochs=2"}
    assert said(run, done) == ["models 8: trained 2, probed 1, look 1 of 6"]


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.TIMEOUT, JobState.RUNNING])
def test_a_failed_job_never_counts_as_done(tmp_path: Path, state: JobState) -> None:
    run = new_run(tmp_path)
    everything = {job.name for job in run.plan.jobs}
    # Not even with files that look like results.
    out = run.out_folder(run.by_name["probe-base/seed=1"])
    out.mkdir()
    (out / "progress.jsonl").write_text('{"step": 1, "total": 1}\n')
    lines = said(run, everything, **{"probe-base": state})
    assert lines == ["models 8: trained 8, probed 6, look 6 of 6"]


def test_what_was_skipped_is_said(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    lines = said(run, {"base/seed=1", "base/seed=2"}, tune=JobState.SKIPPED)
    assert lines == ["models 8: trained 2 (6 skipped), probed 0, look 0 of 6"]


def test_commands_are_counted_by_their_names(tmp_path: Path) -> None:
    stages = {
        "train": {"command": "a {lr}", "matrix": {"lr": [0.1, 0.2]}},
        "evaluate": {"command": "b", "for_each": "train"},
    }
    plan = planned({"experiment": "e", "stages": stages}, tmp_path)
    run = create_run(plan, Profile(kind="local"), tmp_path / "runs")
    assert said(run, {"train/lr=0.1"}, evaluate=JobState.SKIPPED) == [
        "train: 1 of 2 done; evaluate: 0 of 2 (2 skipped)"
    ]


STAGES = """experiment: trial
stages:
  train: {{command: [sh, -c, 'echo train {{n}} >> {log}'], matrix: {{n: [1, 2, 3]}}, resources: {small}}}
  score:
    for_each: train
    command: [sh, -c, 'echo score {{n}} >> {log}; test {{n}} != 2 -o -e {mended}']
    resources: {small}
"""


def test_a_relaunch_fills_the_holes_and_nothing_else(tmp_path: Path) -> None:
    log, mended, path = tmp_path / "log", tmp_path / "mended", tmp_path / "trial.yaml"
    small = "{cpus: 1, memory_gb: 1, minutes: 5}"
    path.write_text(STAGES.format(log=log, mended=mended, small=small))

    def launch() -> None:
        orch(tmp_path, "launch", path, "--cluster", "local", "--watch")

    launch()
    assert states(jobs(tmp_path))["score/n=2"] == "FAILED"
    assert "train: 3 of 3 done; score: 2 of 3" in orch(tmp_path, "status").stdout
    mended.touch()
    orch(tmp_path, "retry", "--job", "score/n=2")
    launch()
    # The failed one alone is done again.
    done = [f"{what} {n}" for what in ("score", "train") for n in (1, 2, 3)]
    assert sorted(log.read_text().splitlines()) == sorted([*done, "score 2"])
    status = orch(tmp_path, "status")
    assert "train: 3 of 3 done; score: 3 of 3" in status.stdout
    document = json.loads(orch(tmp_path, "status", "--json").stdout)
    assert document["inventory"][0]["count"] == 3
