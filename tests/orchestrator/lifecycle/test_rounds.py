"""A search in rounds at work: when a round is drawn, that it is drawn once, and what a node is
told."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from jobs.ranking import varying
from orchestrator.checks import launch as checks
from orchestrator.description.profile import Profile
from orchestrator.errors import RunError
from orchestrator.lifecycle import gates
from orchestrator.lifecycle.decide import Decision, Request, decide
from orchestrator.lifecycle.decided import behind, ranking, rounds
from orchestrator.lifecycle.interventions import note_override
from orchestrator.lifecycle.observe import Observation
from orchestrator.node.system import write_json
from orchestrator.planning.plan import Plan
from orchestrator.runs.attempts import prepare
from orchestrator.runs.choices.rounds import keep_rounds, load_rounds, rounds_file
from orchestrator.runs.create import create_run
from orchestrator.runs.documents import damage
from orchestrator.runs.lookup import open_run
from orchestrator.runs.plan_file import read_plan
from orchestrator.runs.record import JobState, Record, Wait
from orchestrator.runs.run import Run
from orchestrator.views.status import status_rows
from orchestrator.views.why import why
from tests.support.builders import planned

LOCAL = Profile(kind="local")
TRAIN = {
    "command": "true {lr} {seed} {{lr}}",
    "search": {
        "metric": "loss",
        "rounds": 3,
        "n": 2,
        "seed": 4,
        "axes": {"lr": {"log_uniform": [1e-4, 0.1]}},
    },
    "matrix": {"seed": [0, 1]},
    "metrics": {"loss": {"better": "lower"}},
}


@pytest.fixture
def optuna() -> None:
    """For tests in which a second round is drawn."""
    pytest.importorskip("optuna")


def searched_plan(folder: Path, **changes: Any) -> Plan:
    stages = {"train": {**TRAIN, **changes}, "each": {"command": "e", "for_each": "train"}}
    return planned({"experiment": "e", "stages": stages}, folder)


def new_run(folder: Path) -> Run:
    return create_run(searched_plan(folder), LOCAL, folder / "runs")


def look(run: Run, fresh: bool = True) -> Decision:
    """One pass, but for what it submits."""
    records = run.load()
    seen = Observation(
        now=1.0,
        fresh=fresh,
        gates=gates.read_inputs(run, records),
        rounds=rounds.read_inputs(run),
    )
    found = decide(run, records, seen, Request())
    keep_rounds(run, found.rounds)
    run.save(found.records)
    return found


def state_of(run: Run, name: str) -> Record:
    return next(record for record in run.load() if record.name == name)


def end(run: Run, number: int, values: list[float | None], state: JobState) -> None:
    """The jobs of a round have left these losses, point by point and seed by seed; those without
    one are in this state."""
    records = {record.name: record for record in run.load()}
    names = [job.name for job in run.plan.jobs if run.plan.round_of(job) == number]
    for name, value in zip(names, values, strict=True):
        now = state if value is None else JobState.COMPLETED
        if value is not None:
            out = run.out_folder(run.by_name[name])
            out.mkdir(exist_ok=True)
            row = {"metric": "loss", "value": value, "axes": {}, "error": None}
            write_json(out / "results.json", {"rows": [row], "facts": {}})
        records[name] = replace(records[name], state=now, token="t", attempt=1)
    run.save(list(records.values()))


def stage_attempt(run: Run, name: str) -> dict[str, Any]:
    """Make what lies on disk before a submission; what the node reads."""
    job, record = run.by_name[name], state_of(run, name)
    prepare(run, [job], [replace(record, attempt=record.attempt + 1, token="abc")])
    found: dict[str, Any] = json.loads((run.job_folder(job) / "job.json").read_text())
    return found


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"null", b'{"rounds": 3}', b"\xff"], ids=str)
def test_points_are_not_drawn_in_place_of_ones_that_cannot_be_read(
    tmp_path: Path, content: bytes
) -> None:
    run = new_run(tmp_path)
    look(run)
    path = rounds_file(run, "train")
    path.write_bytes(content)
    damage.told()
    run = open_run(run.folder)
    (said,) = damage.told()
    assert said.startswith(f"{path}: is damaged: points are shown by their number")
    assert "lr" not in run.by_name["train/point=0,seed=0"].axes
    with pytest.raises(RunError, match="which points were drawn cannot be known"):
        look(run)
    with pytest.raises(RunError, match="which points were drawn cannot be known"):
        stage_attempt(run, "train/point=0,seed=0")
    assert path.read_bytes() == content


def test_a_job_file_that_was_damaged_before_its_first_attempt_is_made_anew(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    look(run)
    name = "train/point=0,seed=0"
    whole = stage_attempt(run, name)
    (run.job_folder(run.by_name[name]) / "job.json").write_bytes(b"")
    assert stage_attempt(run, name) == whole
    assert "lr" in whole["axes"]


def test_a_round_waits_for_the_last_value_of_the_one_before(tmp_path: Path, optuna: None) -> None:
    run = new_run(tmp_path)
    look(run)
    assert [one.number for one in load_rounds(run, "train")] == [1]
    assert state_of(run, "train/point=1,seed=1").waits_on is None
    late = state_of(run, "train/point=2,seed=0")
    assert late.waits_on is Wait.GATE
    assert late.reason == (
        "round 2 of 3 is drawn by the lowest loss of round 1: 0 of 2 points have a value, "
        "4 jobs WAITING"
    )
    assert "round 2 is not drawn yet" in state_of(run, "train/point=5,seed=0").reason
    end(run, 1, [0.5, 0.6, 0.2, None], JobState.RUNNING)
    assert not look(run).submit
    assert len(load_rounds(run, "train")) == 1
    # Whoever looks next does so when the rest of this round has ended, and no other job.
    records = [replace(record, job_id=record.name) for record in run.load()]
    (watched,) = behind.jobs_to_watch(run.plan, records)
    assert [record.name for record in watched] == ["train/point=1,seed=1"]
    end(run, 1, [0.5, 0.6, 0.2, 0.3], JobState.RUNNING)
    found = look(run)
    ready = {name for name in found.submit if name.startswith("train/")}
    assert ready == {f"train/point={point},seed={seed}" for point in (2, 3) for seed in (0, 1)}
    # What comes after each of them goes along, and the third round waits.
    assert {name for name in found.submit if name.startswith("each/")} == {
        name.replace("train/", "each/") for name in ready
    }
    second = load_rounds(run, "train")[1]
    assert [one.value for one in second.told] == [pytest.approx(0.55), pytest.approx(0.25)]
    assert second.by.startswith("optuna ")
    third = state_of(run, "train/point=4,seed=0")
    assert "of round 2: 0 of 2 points have a value" in third.reason


def test_what_is_drawn_is_drawn_once_and_told_to_the_node(tmp_path: Path, optuna: None) -> None:
    run = new_run(tmp_path)
    look(run)
    end(run, 1, [0.5, 0.6, 0.2, 0.3], JobState.RUNNING)
    look(run)
    drawn = load_rounds(run, "train")
    rate = drawn[1].points[0]["lr"]
    told = stage_attempt(run, "train/point=2,seed=1")
    assert told["command"] == ["true", str(rate), "1", "{lr}"]
    assert told["axes"] == {"lr": rate, "seed": 1, "point": 2}
    # A later value of an earlier point, another look and a relaunch change nothing of it.
    end(run, 1, [0.01, 0.01, 0.2, 0.3], JobState.RUNNING)
    look(run)
    create_run(searched_plan(tmp_path), LOCAL, tmp_path / "runs")
    again = open_run(run.folder)
    assert load_rounds(again, "train") == drawn
    assert stage_attempt(again, "train/point=2,seed=1") == told
    assert again.by_name["train/point=2,seed=0"].axes["lr"] == rate
    # The plan on disk is that of the launch.
    assert "lr" not in read_plan(run.folder).plan.jobs[0].axes


def test_a_look_that_died_before_it_wrote_draws_the_same_points(
    tmp_path: Path, optuna: None
) -> None:
    run = new_run(tmp_path)
    look(run)
    end(run, 1, [0.5, 0.6, 0.2, 0.3], JobState.RUNNING)
    before = rounds_file(run, "train").read_text()
    look(run)
    points = load_rounds(run, "train")[1].points
    rounds_file(run, "train").write_text(before)
    look(run)
    assert load_rounds(run, "train")[1].points == points
    # Two that look at once: the second one finds what the first has written.
    kept = rounds_file(run, "train").read_text()
    other = load_rounds(run, "train")[1]
    keep_rounds(run, {"train": other})
    assert rounds_file(run, "train").read_text() == kept


def test_an_old_answer_draws_nothing_and_calls_for_a_look(tmp_path: Path, optuna: None) -> None:
    run = new_run(tmp_path)
    look(run)
    end(run, 1, [0.5, 0.6, 0.2, None], JobState.FAILED)
    found = look(run, fresh=False)
    assert not found.rounds
    assert "train/point=2,seed=0" in found.submit
    assert "about to be drawn" in state_of(run, "train/point=2,seed=0").reason


def test_a_point_without_one_of_its_seeds_has_failed_and_one_value_is_enough(
    tmp_path: Path, optuna: None
) -> None:
    run = new_run(tmp_path)
    look(run)
    # The better one has lost a seed.
    end(run, 1, [0.1, None, 0.6, 0.6], JobState.FAILED)
    look(run)
    told = load_rounds(run, "train")[1].told
    assert [(one.value, one.open) for one in told] == [(None, False), (0.6, False)]
    lines = "\n".join(why(run, state_of(run, "train/point=2,seed=0"), run.load()))
    assert "search: point 2, round 2 of 3: lr=" in lines
    assert f"point 0, lr={told[0].axes['lr']}: failed" in lines


def test_without_any_value_it_waits_for_a_person(tmp_path: Path, optuna: None) -> None:
    run = new_run(tmp_path)
    look(run)
    end(run, 1, [0.1, None, None, 0.6], JobState.FAILED)
    look(run)
    late = state_of(run, "train/point=2,seed=0")
    assert late.waits_on is Wait.NOTHING_MORE
    assert "0 of 2 points have a value, 2 jobs FAILED; nothing more will come" in late.reason
    assert state_of(run, "train/point=4,seed=0").waits_on is Wait.GATE
    # A retry that leaves the value is one way on, a person's word the other.
    note_override(run, run.load(), ["train/point=2,seed=0"], True, "the space is right")
    found = look(run)
    assert len(load_rounds(run, "train")) == 2
    assert {"train/point=2,seed=0", "train/point=3,seed=1"} <= found.submit
    other = create_run(searched_plan(tmp_path), LOCAL, tmp_path / "others")
    look(other)
    end(other, 1, [0.1, None, None, 0.6], JobState.FAILED)
    look(other)
    end(other, 1, [0.1, 0.2, None, 0.6], JobState.FAILED)
    assert "train/point=2,seed=0" in look(other).submit


def test_where_optuna_is_missing_one_line_says_so_and_nothing_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path)
    look(run)
    end(run, 1, [0.5, 0.6, 0.2, 0.3], JobState.RUNNING)
    monkeypatch.setattr("importlib.util.find_spec", {}.get)
    assert not look(run).rounds
    late = state_of(run, "train/point=2,seed=0")
    assert late.waits_on is Wait.GATE
    assert "Optuna is not installed for " in late.reason
    assert "pip install 'slurm-ml-orchestrator[search]'; then orch advance" in late.reason
    (line,) = [one for one in checks.check(searched_plan(tmp_path), LOCAL) if "Optuna" in one]
    assert line.startswith("stage 'train': search: Optuna is not installed")


def test_a_gate_comes_first(tmp_path: Path) -> None:
    stages = {
        "judged": {"command": "j", "metrics": {"loss": {"better": "lower"}}},
        "train": {**TRAIN, "when": {"metric": "loss", "of": "judged", "at_most": 1}},
    }
    plan = planned({"experiment": "e", "stages": stages}, tmp_path)
    run = create_run(plan, LOCAL, tmp_path / "runs")
    look(run)
    assert "gate is undecided" in state_of(run, "train/point=0,seed=0").reason
    assert "gate is undecided" in state_of(run, "train/point=2,seed=0").reason
    out = run.out_folder(run.by_name["judged"])
    out.mkdir()
    row = {"metric": "loss", "value": 0.5, "axes": {}, "error": None}
    write_json(out / "results.json", {"rows": [row], "facts": {}})
    run.save(
        replace(record, state=JobState.COMPLETED, token="t") if record.name == "judged" else record
        for record in run.load()
    )
    look(run)
    assert state_of(run, "train/point=0,seed=0").waits_on is None
    assert "round 2 of 3 is drawn" in state_of(run, "train/point=2,seed=0").reason


def test_an_engine_finds_the_drawn_value_in_its_config(tmp_path: Path) -> None:
    stage = {
        "engine": "fsm",
        "search": {
            "metric": "test_accuracy",
            "rounds": 2,
            "n": 3,
            "axes": {"epochs": {"integers": [3, 90]}},
        },
    }
    plan = planned({"experiment": "e", "stages": {"train": stage}}, tmp_path)
    run = create_run(plan, LOCAL, tmp_path / "runs")
    look(run)
    (first,) = load_rounds(run, "train")
    for number, point in enumerate(first.points):
        stage_attempt(run, f"train/point={number}")
        folder = run.job_folder(run.by_name[f"train/point={number}"])
        assert json.loads((folder / "config.json").read_text())["epochs"] == point["epochs"]


def test_what_is_drawn_is_shown_and_what_is_not_is_no_setting(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    look(run)
    end(run, 1, [0.5, 0.6, 0.2, 0.3], JobState.RUNNING)
    (first,) = load_rounds(run, "train")
    rates = [point["lr"] for point in first.points]
    by_name = {row["job"]: row for row in status_rows(run, run.load(), 0.0)}
    assert by_name["train/point=1,seed=0"]["axes"] == {"lr": rates[1], "seed": 0, "point": 1}
    settings = ranking.settings_of(run, "train", "loss", False, ranking.read_all(run))
    assert [one.axes["lr"] for one in settings] == [rates[1], rates[0]]
    assert varying(settings) == ["lr", "point"]
    lines = why(run, state_of(run, "train/point=4,seed=0"), run.load())
    assert "search: point 4, round 3 of 3, not drawn yet" in lines
    shutil.rmtree(run.folder / "searches")
    assert why(run, state_of(run, "train/point=0,seed=0"), run.load())
