"""A budget of GPU-hours is never passed, stops retries with one line, and goes on when raised."""

from __future__ import annotations

import json
from dataclasses import replace as changed
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.description.profile import Profile
from orchestrator.description.profile_reader import load_profile
from orchestrator.errors import CheckError, DescriptionError
from orchestrator.lifecycle import notifications
from orchestrator.lifecycle.act import as_intent
from orchestrator.lifecycle.bounds import budget
from orchestrator.lifecycle.deaths.kinds import Kind
from orchestrator.lifecycle.decide import Request, decide, passes_after
from orchestrator.lifecycle.observe import Observation
from orchestrator.lifecycle.refresh import CONTINUE_ONLY
from orchestrator.lifecycle.sending.batches import as_queued
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.documents import damage
from orchestrator.runs.lookup import open_run
from orchestrator.runs.record import ACTIVE, JobState, Record, Wait
from orchestrator.runs.run import Run, waiting
from tests.support.builders import PLANNED, job, plan_of
from tests.support.cli import describe

ALL = Request(everything=True)


def run_within(hours: float, *jobs: Any, **plan: Any) -> Run:
    made = changed(plan_of(*jobs), budget={"gpu_hours": hours}, **plan)
    return Run(Path("/runs/e/full"), made, Profile(kind="slurm"), "uid", "/", 0.0)


def passed(run: Run, records: list[Record], now: float, request: Request) -> list[Record]:
    """One pass in which the scheduler takes whatever is submitted."""
    decision = decide(run, records, Observation(now=now, queue={}), request)
    return [
        replace(
            as_queued(as_intent(record, now), "7"), attempt=record.attempt + 1, token=record.name
        )
        if record.name in decision.submit
        else record
        for record in decision.records
    ]


@settings(deadline=None, max_examples=60)
@given(
    gpus=st.lists(st.integers(0, 4), min_size=1, max_size=6),
    hours=st.floats(0.5, 12.0),
    random=st.randoms(use_true_random=False),
)
def test_whatever_jobs_take_the_budget_is_not_passed_and_what_fits_runs(
    gpus: list[int], hours: float, random: Random
) -> None:
    jobs = [job(f"train/{place}", gpus=own, minutes=60) for place, own in enumerate(gpus)]
    run = run_within(hours, *jobs, retry={str(Kind.NODE): 2})
    by_name = {one.name: one for one in jobs}
    records, request = [waiting(one) for one in jobs], ALL
    for now in range(1, 40):
        records = passed(run, records, float(now), request)
        request = CONTINUE_ONLY
        active = [place for place, one in enumerate(records) if one.state in ACTIVE]
        # Were all of them to take what they may, it would still hold.
        stands = budget.taken(run, records)
        assert stands is not None
        assert stands.spent + stands.active <= hours + 1e-6
        if not active:
            break
        place = active[0]
        took = random.random() * by_name[records[place].name].resources.gpu_hours
        ended = {"gpu_hours": (records[place].gpu_hours or 0.0) + took, "ended": float(now)}
        if random.random() < 0.5:
            state = {"state": JobState.NODE_FAIL, "cause": str(Kind.NODE), "reason": "node"}
        else:
            state = {"state": JobState.COMPLETED, "cause": "", "reason": ""}
        records[place] = replace(records[place], **ended, **state)
    left = hours - sum(one.gpu_hours or 0.0 for one in records)
    for record in records:
        need = by_name[record.name].resources.gpu_hours
        if record.waits_on is Wait.BUDGET:
            assert record.state is JobState.WAITING
            assert need > left - 1e-6
            assert record.reason.endswith("raise it (budget: {gpu_hours: ...}) and launch again")
        else:
            # No GPU, no budget.
            assert record.attempt or need
    assert all(record.attempt for record in records if not by_name[record.name].resources.gpus)


def test_a_retry_waits_for_the_budget_and_goes_on_when_it_is_raised() -> None:
    run = run_within(1.0, job(gpus=1, minutes=60), retry={str(Kind.NODE): 2})
    failed = replace(
        waiting(run.plan.jobs[0]),
        attempt=1,
        token="t",
        job_id="7",
        state=JobState.NODE_FAIL,
        cause=str(Kind.NODE),
        reason="node",
        gpu_hours=0.4,
        ended=5.0,
    )
    (record,) = passed(run, [failed], 9.0, CONTINUE_ONLY)
    assert (record.state, record.waits_on, record.due) == (JobState.WAITING, Wait.BUDGET, True)
    assert record.reason == (
        "budget: 0.4 of 1 GPU-hours are spent, and it may take 1: raise it (budget: {gpu_hours: "
        "...}) and launch again"
    )
    # Told once, as what a person has to decide, however often anybody looks.
    (event,) = notifications.events(run, [record])
    assert (event.kind, "budget: 0.4 of 1 GPU-hours" in event.text) == ("decision", True)
    (again,) = passed(run, [record], 10.0, CONTINUE_ONLY)
    assert notifications.events(run, [again])[0].key == event.key
    raised = run_within(1.5, *run.plan.jobs, retry=run.plan.retry)
    (going,) = passed(raised, [again], 11.0, ALL)
    assert (going.state, going.attempt) == (JobState.PENDING, 2)


def test_while_others_may_leave_something_it_is_not_a_persons_turn_and_a_pass_comes() -> None:
    run = run_within(1.5, job("train/0", gpus=1, minutes=60), job("train/1", gpus=1, minutes=60))
    first, second = passed(run, [waiting(one) for one in run.plan.jobs], 1.0, ALL)
    assert (first.state, second.waits_on) == (JobState.PENDING, Wait.BUDGET)
    assert second.reason.endswith(
        "it is submitted once other jobs have used less than their maximum"
    )
    assert notifications.events(run, [first, second]) == []
    assert passes_after(run, [first, second], submitted=False).after_one == [first]


def write_start(run: Run, attempt: int, name: str, **values: Any) -> None:
    folder = run.job_folder(run.plan.jobs[0]) / f"attempt-{attempt}"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(values))


STAGES = "  train: {command: 'true', resources: {gpus: 2, nodes: 2, cpus: 1, minutes: 60}}\n"


def test_what_was_spent_is_read_from_the_records_of_every_start(tmp_path: Path) -> None:
    plan = make_plan(describe(tmp_path, STAGES, "budget: {gpu_hours: 9}\n"))
    run = create_run(plan, PLANNED, tmp_path / "runs")
    resources = {"nodes": 2, "gpus": 2, "cpus": 1, "memory_gb": 4, "minutes": 60}
    ended = {
        "job_id": "7",
        "exit_code": 0,
        "results": False,
        "started": 0.0,
        "ended": 900.0,
        "resources": resources,
    }
    # An attempt of a quarter of an hour on four GPUs; then one that was requeued, whose node was
    # lost, and that runs now.
    write_start(run, 1, "claim.json", restart=0, started=0.0, job_id="7")
    write_start(run, 1, "exit.json", restart=0, **ended)
    write_start(run, 2, "exit.json", restart=0, **ended)
    write_start(run, 2, "claim.json", restart=2, started=9000.0, job_id="7")
    record = replace(
        waiting(plan.jobs[0]), attempt=2, submitted=1000.0, state=JobState.RUNNING, token="t"
    )
    spent = budget.read_spent(run, [record], [record], now=10800.0)["train"]
    # 1 + 1, and the lost start at most its time limit: 4.
    assert spent == budget.Spent(ended=6.0, unclosed=2.0)
    (running,) = budget.with_spent([record], {"train": spent})
    assert running.gpu_hours == 6.0
    (lost,) = budget.with_spent([replace(record, state=JobState.NODE_FAIL)], {"train": spent})
    assert lost.gpu_hours == 8.0
    # Where nothing can be read of a start it took its time limit at most: 4, in place of 1.
    (run.folder / waiting(plan.jobs[0]).folder / "attempt-1" / "claim.json").write_bytes(b"{")
    (run.folder / waiting(plan.jobs[0]).folder / "attempt-1" / "exit.json").write_bytes(b"")
    damage.told()
    spent = budget.read_spent(run, [record], [record], now=10800.0)["train"]
    assert spent == budget.Spent(ended=9.0, unclosed=2.0)
    assert len(damage.told()) == 2
    # Counted once, it is not read again.
    assert budget.read_spent(run, [lost], [], now=0.0) == {}
    assert (
        budget.read_spent(
            create_run(changed(plan, budget={}), PLANNED, tmp_path / "b"), [record], [record], 0.0
        )
        == {}
    )


def test_presets_and_set_change_it_the_profiles_holds_without_and_a_run_takes_a_new_one(
    tmp_path: Path,
) -> None:
    path = describe(tmp_path, STAGES, "budget: {gpu_hours: 9}\n")
    path.write_text(path.read_text() + "presets: {small: {budget: {gpu_hours: 2.5}}}\n")
    assert make_plan(path).budget == {"gpu_hours": 9.0}
    assert make_plan(path, "small").budget == {"gpu_hours": 2.5}
    assert make_plan(path, "small", ["budget.gpu_hours=4"]).budget == {"gpu_hours": 4.0}
    (tmp_path / "p.yaml").write_text("kind: slurm\nbudget: {gpu_hours: 7}\n")
    profile = load_profile(str(tmp_path / "p.yaml"))
    assert budget.most_of(make_plan(path), profile) == 9.0
    assert budget.most_of(changed(make_plan(path), budget={}), profile) == 7.0
    run = create_run(make_plan(path), PLANNED, tmp_path / "runs")
    raised = create_run(make_plan(path, None, ["budget.gpu_hours=20"]), PLANNED, tmp_path / "runs")
    assert raised.folder == run.folder
    assert budget.of(open_run(run.folder)) == 20.0


@pytest.mark.parametrize("value", ["0", "-1", "much", "null"])
def test_a_wrong_budget_is_one_line(tmp_path: Path, value: str) -> None:
    path = describe(tmp_path, STAGES, f"budget: {{gpu_hours: {value}}}\n")
    with pytest.raises(DescriptionError) as error:
        make_plan(path)
    (line,) = error.value.lines
    assert "gpu_hours" in line
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({"kind": "slurm", "budget": {"hours": 3}}))
    with pytest.raises(CheckError, match="hours"):
        load_profile(str(tmp_path / "p.yaml"))
    with pytest.raises(DescriptionError, match="budget has no key 'hours'"):
        make_plan(describe(tmp_path, STAGES), None, ["budget.hours=3"])


def test_a_launch_says_what_it_may_cost() -> None:
    profile = Profile(kind="slurm", price_per_gpu_hour=2.0)
    plan = plan_of(job("train/0", gpus=1, minutes=60), job("train/1", gpus=2, minutes=60))
    text = "may cost up to 3 GPU-hours (time limits x GPUs), 6.00 USD"
    assert budget.said_at_launch(plan, profile) == text
    for hours, more in ((3.0, ""), (2.5, ": what does not fit waits"), (1.0, ", and one of its")):
        said = budget.said_at_launch(changed(plan, budget={"gpu_hours": hours}), profile)
        assert said.startswith(f"{text}; its budget is {hours:g}{more}")
    assert budget.said_at_launch(plan_of(job()), profile) == ""
