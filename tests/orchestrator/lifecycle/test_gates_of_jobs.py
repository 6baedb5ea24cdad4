"""Gates that look at each job's own ancestors: `where: {seed: "{seed}"}`."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.description.profile import Profile
from orchestrator.errors import DescriptionError
from orchestrator.lifecycle import gates
from orchestrator.lifecycle.interventions import note_override
from orchestrator.node.system import write_json
from orchestrator.planning.plan import Plan
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.page.facts import stage_boxes
from orchestrator.views.why import why
from tests.support.cli import jobs, orch, states, tiny_stage
from tests.support.extras import needs

OWN = 'when: {metric: test_accuracy, of: a, where: {seed: "{seed}"}, at_least: 0.9}'


def described(folder: Path, gate: str = OWN) -> Path:
    path = folder / "trial.yaml"
    path.write_text(
        "experiment: trial\nstages:\n"
        f"  a: {{matrix: {{seed: [0, 1, 2]}}, {tiny_stage(0)}}}\n"
        f"  b: {{for_each: a, canary: {{epochs: 2}}, {gate}, {tiny_stage(1)}}}\n"
    )
    return path


def finished(run: Run, values: dict[int, float]) -> dict[str, Record]:
    """The records after the first stage has these values, with what the gates say of them."""
    records = {record.name: record for record in run.load()}
    for seed, value in values.items():
        name = f"a/seed={seed}"
        out = run.out_folder(run.by_name[name])
        out.mkdir(exist_ok=True)
        row = {"metric": "test_accuracy", "value": value, "axes": {}, "error": None}
        write_json(out / "results.json", {"rows": [row]})
        completed = {**records[name].to_dict(), "state": JobState.COMPLETED, "token": "t"}
        records[name] = Record(**completed)
    inputs = gates.read_inputs(run, list(records.values()))
    now, decisions = gates.judge(run.plan, list(records.values()), inputs, 0.0)
    gates.write(run, now, decisions)
    run.save(now)
    return {record.name: record for record in now}


def new_run(folder: Path) -> Run:
    plan = make_plan(described(folder))
    return create_run(plan, Profile(kind="local"), folder / "runs")


def test_each_job_hangs_on_its_own_ancestor_alone_and_the_canary_on_the_first(
    tmp_path: Path,
) -> None:
    plan = make_plan(described(tmp_path))
    assert {key: condition[0].jobs for key, condition in plan.gates.items()} == {
        "b/seed=0": ("a/seed=0",),
        "b/seed=1": ("a/seed=1",),
        "b/seed=2": ("a/seed=2",),
        "b-canary": ("a/seed=0",),
    }
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert plan.gated_jobs == {"b-canary", *(f"b/seed={seed}" for seed in range(3))}


def test_a_bad_ancestor_stops_its_own_branch_and_is_named(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    found = finished(run, {0: 0.95, 1: 0.2})
    assert [str(found[f"b/seed={seed}"].state) for seed in range(3)] == [
        "WAITING",
        "SKIPPED",
        "WAITING",
    ]
    assert found["b/seed=0"].waits_on is None
    assert found["b/seed=2"].reason.startswith("gate is undecided: test_accuracy of a (seed=2)")
    said = why(run, found["b/seed=1"], list(found.values()))
    assert any("a/seed=1: 0.2, misses it" in line for line in said)
    assert not any("a/seed=0" in line for line in said)
    (box,) = [box for box in stage_boxes(run, found.values()) if box.name == "b"]
    assert box.gates == {"a"}


def test_an_override_lets_one_job_run_and_is_kept_with_its_reason(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    finished(run, {0: 0.95, 1: 0.2, 2: 0.1})
    note_override(run, run.load(), {"b/seed=1"}, True, "to see what a weak base gives")
    found = finished(run, {})
    assert [str(found[f"b/seed={seed}"].state) for seed in (1, 2)] == ["WAITING", "SKIPPED"]
    said = why(run, found["b/seed=1"], list(found.values()))
    assert any("override: run, by " in line and "a weak base" in line for line in said)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ('{seed: "{sed}"}', "the stage has no axis 'sed' to put in place of {sed}"),
        ('{seed: "{seed}", x: 1}', ""),
    ],
)
def test_a_placeholder_that_no_axis_fills_is_refused(tmp_path: Path, where: str, said: str) -> None:
    gate = f"when: {{metric: test_accuracy, of: a, where: {where}, at_least: 0.9}}"
    if not said:
        condition = make_plan(described(tmp_path, gate)).gates["b/seed=1"][0]
        assert (condition.chosen, condition.where) == ({"seed": 1}, {"x": 1})
        return
    with pytest.raises(DescriptionError, match=said):
        make_plan(described(tmp_path, gate))


@needs("torch")
def test_on_this_machine_a_recorded_override_runs_one_branch(tmp_path: Path) -> None:
    def launched(*more: str) -> Any:
        path = tmp_path / "trial.yaml"
        path.write_text(
            "experiment: trial\nstages:\n"
            f"  a: {{matrix: {{seed: [0, 1]}}, {tiny_stage(0)}}}\n"
            '  b: {for_each: a, when: {metric: test_accuracy, of: a, where: {seed: "{seed}"}, '
            f"at_least: 0.999}}, {tiny_stage(1)}}}\n"
        )
        return orch(tmp_path, "launch", path, "--cluster", "local", "--watch", *more)

    launched()
    found = states(jobs(tmp_path))
    assert [found[f"b/seed={seed}"] for seed in (0, 1)] == ["SKIPPED", "SKIPPED"]
    done = orch(tmp_path, "override", "b/seed=1", "--run", "--reason", "the base is weak: shown")
    assert done.returncode == 0, done.stderr
    launched()
    found = states(jobs(tmp_path))
    assert [found[f"b/seed={seed}"] for seed in (0, 1)] == ["SKIPPED", "COMPLETED"]
    assert "the base is weak: shown" in orch(tmp_path, "why", "b/seed=1").stdout
