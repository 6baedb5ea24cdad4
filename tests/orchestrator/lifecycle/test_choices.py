"""A job that follows the best one of others: when it is chosen, that it is chosen once, and what
the node is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.description.profile import Profile
from orchestrator.errors import DescriptionError, RunError
from orchestrator.lifecycle import gates
from orchestrator.lifecycle.decide import choose
from orchestrator.lifecycle.interventions import note_override
from orchestrator.node.system import write_json
from orchestrator.planning.plan import Plan
from orchestrator.runs.attempts import prepare
from orchestrator.runs.choices.files import axes_with_followed, load_choice, settled
from orchestrator.runs.create import create_run
from orchestrator.runs.record import JobState, Record, Wait
from orchestrator.runs.run import Run
from orchestrator.scores.results import gather
from orchestrator.views.why import why
from tests.support.builders import planned

TRAIN = {
    "command": "train {lr} {seed}",
    "matrix": {"lr": [0.1, 0.01], "seed": [0, 1]},
    "metrics": {"loss": {"better": "lower"}, "steps": {}},
}
FINAL = {
    "command": "final {lr} {seed} {checkpoint}",
    "for_each": {"of": "train", "best": "loss", "per": ["seed"]},
    "checkpoints": "best",
}


def planned_with(folder: Path, **changes: Any) -> Plan:
    stages: dict[str, Any] = {
        "train": TRAIN,
        "final": FINAL,
        "report": {"command": "r", "after": ["final"]},
    }
    for name, changed in changes.items():
        stages[name] = {**stages[name], **changed}
    return planned({"experiment": "e", "stages": stages}, folder)


def new_run(folder: Path) -> Run:
    return create_run(planned_with(folder), Profile(kind="local"), folder / "runs")


def ended(run: Run, values: dict[str, float | None], died: tuple[str, ...] = ()) -> dict[str, Any]:
    """The records when these trainings have left these losses and those have died, judged."""
    records = {record.name: record for record in run.load()}
    for name, value in values.items():
        out = run.out_folder(run.by_name[name])
        out.mkdir(exist_ok=True)
        row: dict[str, Any] = {"metric": "loss", "value": value, "n": 1, "axes": {}}
        if value is None:
            row |= {"n": 0, "error": "diverged"}
        whole = {"schema": 1, "engine": "command", "config": {}, "seconds": 1.0, "facts": {}}
        write_json(out / "results.json", {**whole, "rows": [row]})
        records[name] = replace(records[name], state=JobState.COMPLETED, token="t")
    for name in died:
        records[name] = replace(records[name], state=JobState.FAILED, token="t", attempt=1)
    run.save(list(records.values()))
    return judged(run)


def judged(run: Run) -> dict[str, Record]:
    records = run.load()
    inputs = gates.read_inputs(run, records)
    now, decisions = gates.judge(run.plan, records, inputs, 0.0)
    gates.write(run, now, decisions, gates.outcomes(run.plan, now, inputs))
    run.save(now)
    return {record.name: record for record in now}


def stage_attempt(run: Run, name: str) -> dict[str, Any]:
    """Make what lies on disk before a submission; what the node reads."""
    job = run.by_name[name]
    record = next(one for one in run.load() if one.name == name)
    prepare(run, [job], [replace(record, attempt=record.attempt + 1, token="abc")])
    found: dict[str, Any] = json.loads((run.job_folder(job) / "job.json").read_text())
    return found


def test_there_is_a_job_per_group_from_the_start_and_it_names_no_winner(tmp_path: Path) -> None:
    plan = planned_with(tmp_path)
    final = [job for job in plan.jobs if job.stage == "final"]
    assert [job.name for job in final] == ["final/seed=0", "final/seed=1"]
    assert plan.choices["final/seed=1"].jobs == ("train/lr=0.1,seed=1", "train/lr=0.01,seed=1")
    # Everything that it could follow is part of what it is, and nothing else.
    assert Plan.from_json(plan.to_json()) == plan
    names = {job.name: job.identity for job in final}
    more = planned_with(tmp_path, train={"matrix": {"lr": [0.1, 0.01, 0.3], "seed": [0, 1]}})
    assert not {job.identity for job in more.jobs} & set(names.values())
    renamed = {"train": TRAIN, "last": FINAL}
    others = planned({"experiment": "e", "stages": renamed}, tmp_path)
    assert set(names.values()) <= {job.identity for job in others.jobs}
    one = planned_with(
        tmp_path, final={"for_each": {"of": "train", "best": "loss"}, "command": "f {lr}"}
    )
    assert [len(choice.jobs) for choice in one.choices.values()] == [4]


def test_a_command_may_name_the_folder_of_the_job_that_it_follows(tmp_path: Path) -> None:
    each = {"command": "each {for_each}/w.pt {seed}", "for_each": "train"}
    named = {"command": "final {lr} {for_each}/w.pt", "checkpoints": None}
    plan = planned({"experiment": "e", "stages": {"train": TRAIN, "each": each}}, tmp_path)
    job = next(job for job in plan.jobs if job.name == "each/lr=0.01,seed=1")
    assert job.config == {"followed": "{run}/jobs/train.lr-0.01_seed-1/out/files"}
    final = {key: value for key, value in {**FINAL, **named}.items() if value is not None}
    stages = {"train": TRAIN, "final": final}
    run = create_run(
        planned({"experiment": "e", "stages": stages}, tmp_path), Profile(kind="local"), tmp_path
    )
    ended(run, {"train/lr=0.1,seed=0": 0.5, "train/lr=0.01,seed=0": 0.2})
    told = stage_attempt(run, "final/seed=0")
    assert told["command"] == ["final", "0.01", "{for_each}/w.pt"]
    (run.out_folder(run.by_name["train/lr=0.01,seed=0"]) / "files").mkdir()
    settled_in = run.out_folder(run.by_name["train/lr=0.01,seed=0"]) / "files"
    assert Path(told["followed"]).resolve() == settled_in.resolve()
    alone = {
        "experiment": "e",
        "stages": {"train": {**TRAIN, "command": "t {lr} {seed} {for_each}"}},
    }
    with pytest.raises(DescriptionError, match=r"no axis 'for_each' to put in place of {for_each}"):
        planned(alone, tmp_path)


def test_it_waits_until_the_last_value_that_can_come_is_there(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    now = ended(run, {"train/lr=0.1,seed=0": 0.5})
    assert now["final/seed=0"].waits_on is Wait.GATE
    assert "1 of 2 values; 1 WAITING" in now["final/seed=0"].reason
    now = ended(run, {"train/lr=0.01,seed=0": 0.2})
    assert now["final/seed=0"].waits_on is None
    assert now["final/seed=1"].waits_on is Wait.GATE
    assert "final/seed=0" in choose(run, list(now.values()))
    assert "final/seed=1" not in choose(run, list(now.values()))
    decided = load_choice(run, run.by_name["final/seed=0"])
    assert decided is not None
    assert decided["chosen"] == "train/lr=0.01,seed=0"
    assert [one["value"] for one in decided["findings"]] == [0.5, 0.2]
    assert all(one["file"] for one in decided["findings"])
    lines = why(run, now["final/seed=0"], list(now.values()))
    assert any("train/lr=0.01,seed=0: 0.2" in line and "this one" in line for line in lines)


def test_what_died_or_diverged_is_not_chosen_and_does_not_hold_it_up(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    values = {"train/lr=0.1,seed=0": 0.9, "train/lr=0.1,seed=1": None}
    now = ended(run, values, died=("train/lr=0.01,seed=0", "train/lr=0.01,seed=1"))
    decided = load_choice(run, run.by_name["final/seed=0"])
    assert decided is not None
    assert decided["chosen"] == "train/lr=0.1,seed=0"
    assert "1 FAILED" in decided["text"]
    # Without any value nothing is taken.
    assert now["final/seed=1"].waits_on is Wait.NOTHING_MORE
    assert "could not compute loss: diverged" in now["final/seed=1"].reason


def test_the_node_is_told_of_the_chosen_job_and_a_later_better_value_changes_nothing(
    tmp_path: Path,
) -> None:
    run = new_run(tmp_path)
    ended(run, {"train/lr=0.1,seed=0": 0.5, "train/lr=0.01,seed=0": 0.2})
    told = stage_attempt(run, "final/seed=0")
    assert told["command"] == ["final", "0.01", "0", "{checkpoint}"]
    assert list(told["needs"]) == ["train/lr=0.01,seed=0"]
    assert told["chosen"]["axes"] == {"lr": 0.01, "seed": 0}
    behind = Path(told["checkpoints"]["folder"]).resolve()
    assert behind == run.out_folder(run.by_name["train/lr=0.01,seed=0"]).resolve()
    # A retry of the other one has become better since.
    ended(run, {"train/lr=0.1,seed=0": 0.01})
    assert stage_attempt(run, "final/seed=0") == told
    assert settled(run, run.by_name["final/seed=0"]) == "train/lr=0.01,seed=0"
    # Until it is submitted a better value counts.
    assert settled(run, run.by_name["final/seed=1"]) is None


def test_a_person_takes_another_one_with_a_reason(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    ended(run, {"train/lr=0.1,seed=0": 0.5})
    with pytest.raises(RunError, match="is WAITING"):
        note_override(run, run.load(), ["final/seed=0"], True, "r", "train/lr=0.01,seed=0")
    with pytest.raises(RunError, match="follows one of"):
        note_override(run, run.load(), ["final/seed=0"], True, "r", "train/lr=0.1,seed=1")
    with pytest.raises(RunError, match="does not follow the best"):
        note_override(run, run.load(), ["report"], False, "r", "train/lr=0.1,seed=0")
    note_override(run, run.load(), ["final/seed=0"], True, "sound", "train/lr=0.1,seed=0")
    now = judged(run)
    assert now["final/seed=0"].waits_on is None
    assert stage_attempt(run, "final/seed=0")["command"][1] == "0.1"
    lines = why(run, now["final/seed=0"], list(now.values()))
    assert any("override: take" in line and "sound" in line for line in lines)
    assert any("follows: train/lr=0.1,seed=0, final" in line for line in lines)


def test_without_any_job_to_choose_from_it_is_skipped_with_what_follows(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    skipped = [name for name in run.by_name if name.startswith("train")]
    note_override(run, run.load(), skipped, False, "not now")
    now = judged(run)
    assert {record.state for record in now.values()} == {JobState.SKIPPED}


@pytest.mark.parametrize(
    ("final", "said"),
    [
        ({"for_each": {"of": "train", "best": "los"}}, "unknown metric 'los'; did you mean"),
        ({"for_each": {"of": "train", "best": "steps"}}, "which values are better"),
        ({"for_each": {"of": "train", "best": "loss", "per": ["sed"]}}, "has no axis 'sed'"),
        ({"for_each": {"of": "trin", "best": "loss"}}, "no stage 'trin'"),
        ({"for_each": {"of": "train"}}, "'best' is missing"),
        ({"for_each": {"of": "train", "best": "loss", "by": 1}}, "unknown key 'by'"),
        ({"matrix": {"seed": [5]}}, "comes from 'train' already"),
        ({"exclude": [{"lr": 0.1}]}, "no axis 'lr'"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, final: Any, said: str) -> None:
    with pytest.raises(DescriptionError) as error:
        planned_with(tmp_path, final=final)
    assert len(error.value.lines) == 1, error.value.lines
    assert said in error.value.lines[0]
    assert "x.yaml:" in error.value.lines[0]


def test_references_and_checkpoints_of_an_engine_lead_to_the_chosen_job(tmp_path: Path) -> None:
    first = {
        "engine": "fsm",
        "matrix": {"learning_rate": [0.01, 0.001], "seed": [0, 1]},
    }
    second = {
        "engine": "fsm",
        "for_each": {"of": "first", "best": "test_accuracy", "per": ["seed"]},
        "config": {"initial": {"of": "first", "checkpoint": "best"}, "seed": "{seed}"},
    }
    stages = {"first": first, "second": second}
    run = create_run(
        planned({"experiment": "e", "stages": stages}, tmp_path),
        Profile(kind="local"),
        tmp_path / "runs",
    )
    job = run.by_name["second/seed=1"]
    assert run.plan.choices[job.name].higher
    folder = Path(job.config["initial"]["folder"])
    assert not folder.exists()
    for name, value in (("0.01", 0.4), ("0.001", 0.8)):
        out = run.out_folder(run.by_name[f"first/learning_rate={name},seed=1"])
        out.mkdir()
        row: dict[str, Any] = {"metric": "test_accuracy", "value": value, "axes": {}}
        write_json(out / "results.json", {"rows": [row]})
    done = [
        replace(one, state=JobState.COMPLETED, token="t") if one.name.endswith("seed=1") else one
        for one in run.load()
        if one.name.startswith("first")
    ]
    run.save([*done, *(one for one in run.load() if one.name.startswith("second"))])
    judged(run)
    stage_attempt(run, job.name)
    chosen = run.by_name["first/learning_rate=0.001,seed=1"]
    assert folder.resolve() == run.out_folder(chosen).resolve()


def test_rows_of_a_job_that_follows_the_best_say_what_that_one_was_made_of(tmp_path: Path) -> None:
    stages = {
        "train": TRAIN,
        "final": FINAL,
        "score": {"command": "score {for_each}/w.pt", "for_each": "final"},
    }
    plan = planned({"experiment": "e", "stages": stages}, tmp_path)
    run = create_run(plan, Profile(kind="local"), tmp_path / "runs")
    assert axes_with_followed(run, run.by_name["final/seed=0"]) == {"seed": 0}
    losses = {"train/lr=0.1,seed=0": 2.0, "train/lr=0.01,seed=0": 1.0}
    losses |= {"train/lr=0.1,seed=1": 1.0, "train/lr=0.01,seed=1": 2.0}
    ended(run, losses)
    ended(run, {"final/seed=0": 0.5, "score/seed=1": 0.25})
    rows, _, _ = gather(run, ["final", "score"], None)
    assert [(row.job, row.axes) for row in rows] == [
        ("final/seed=0", {"lr": 0.01, "seed": 0}),
        ("score/seed=1", {"lr": 0.1, "seed": 1}),
    ]
