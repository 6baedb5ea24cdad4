"""Retries that come by themselves: their bounds as a calculation, and on the local cluster."""

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.description.profile import Profile
from orchestrator.description.stage_keys.options import RetryFile
from orchestrator.lifecycle.deaths.kinds import Kind
from orchestrator.lifecycle.decide import decide, passes_after
from orchestrator.lifecycle.observe import Observation
from orchestrator.lifecycle.refresh import CONTINUE_ONLY
from orchestrator.lifecycle.retry_policy import MOST, Past, by_itself, by_themselves
from orchestrator.runs.record import JobState, Record, Wait
from orchestrator.runs.run import Run
from tests.support.builders import job, plan_of
from tests.support.cli import describe, jobs, orch

MEMORY, TIME, NODE = str(Kind.HOST_MEMORY), str(Kind.TIME_LIMIT), str(Kind.NODE)


def run_with(retry: dict[str, int], *planned: Any, **profile: Any) -> Run:
    plan = plan_of(*(planned or (job(memory_gb=8, minutes=60),)))
    plan = type(plan)(**{**vars(plan), "retry": retry})
    return Run(Path("/runs/e/full"), plan, Profile(kind="slurm", **profile), "uid", "/", 0.0)


def failed(cause: str, **values: Any) -> Record:
    usual: dict[str, Any] = {
        "name": "train/0",
        "stage": "train",
        "identity": "i",
        "folder": "jobs/train.0",
        "attempt": 1,
        "token": "t",
        "job_id": "7",
        "state": JobState.FAILED,
        "cause": cause,
        "reason": cause,
        "host": "a100-1",
    }
    return Record(**usual | values)


@settings(deadline=None, max_examples=80)
@given(
    causes=st.lists(st.sampled_from([MEMORY, TIME, NODE, str(Kind.CODE)]), max_size=30),
    bounds=st.fixed_dictionaries({MEMORY: st.integers(1, 4), NODE: st.integers(1, 4)}),
    largest=st.dictionaries(st.sampled_from(["memory_gb", "minutes"]), st.integers(1, 400)),
)
def test_whatever_it_dies_of_no_bound_is_passed(
    causes: list[str], bounds: dict[str, int], largest: dict[str, int]
) -> None:
    run = run_with(bounds)
    (planned,) = run.plan.jobs
    record, again = failed(""), 0
    for cause in causes:
        record = replace(record, state=JobState.FAILED, cause=cause, reason=cause, due=False)
        (record,) = by_themselves(run, [record], {"train/0": Past(largest=largest)})
        again += record.due
        assert record.due == (record.state is JobState.WAITING)
        # What has no bound of its own is left to a person.
        assert not (record.due and cause not in bounds)
    assert all(count <= bounds[kind] for kind, count in record.retries.items())
    assert again == sum(record.retries.values())
    assert record.minutes is None
    memory = record.memory_gb or planned.resources.memory_gb
    most = MOST * planned.resources.memory_gb
    assert memory <= max(planned.resources.memory_gb, min(most, largest.get("memory_gb", most)))


def test_a_time_limit_is_raised_as_long_as_the_job_comes_further() -> None:
    run = run_with({TIME: 5})
    (planned,) = run.plan.jobs
    first = by_itself(run, planned, failed(TIME), Past(step=10))
    assert (first.state, first.minutes, first.step, first.due) == (JobState.WAITING, 90, 10, True)
    again = replace(first, state=JobState.FAILED, cause=TIME, reason=TIME, due=False)
    assert by_itself(run, planned, again, Past(step=11)).due
    stuck = by_itself(run, planned, again, Past(step=10))
    assert not stuck.due
    assert stuck.reason == (
        f"{TIME}; not retried automatically: it came no further than the attempt before (step 10)"
    )


def test_nothing_grows_while_the_scheduler_cannot_say_how_far() -> None:
    run = run_with({TIME: 5, NODE: 1})
    (planned,) = run.plan.jobs
    waits = by_itself(run, planned, failed(TIME), Past(largest=None))
    assert (waits.state, waits.due, waits.retries) == (JobState.FAILED, False, {})
    assert by_itself(run, planned, failed(NODE), Past(largest=None)).due


def test_a_node_costs_none_of_the_other_bounds_and_restarts_by_slurm_count_too() -> None:
    run = run_with({MEMORY: 1, NODE: 2})
    (planned,) = run.plan.jobs
    record = by_itself(run, planned, failed(NODE), Past())
    assert (record.retries, record.exclude, record.memory_gb) == ({NODE: 1}, "a100-1", None)
    record = replace(record, state=JobState.FAILED, cause=NODE, due=False)
    assert by_itself(run, planned, record, Past()).due
    # Slurm has started it again once already.
    assert not by_itself(run, planned, record, Past(lost=1)).due
    record = replace(record, cause=MEMORY)
    assert by_itself(run, planned, record, Past(lost=1)).retries == {NODE: 2, MEMORY: 1}


def test_shared_memory_counts_as_memory_and_asks_for_more() -> None:
    run = run_with({MEMORY: 1})
    (planned,) = run.plan.jobs
    record = by_itself(run, planned, failed(str(Kind.SHARED_MEMORY)), Past())
    assert (record.retries, record.memory_gb, record.due) == ({MEMORY: 1}, 12, True)
    record = replace(record, state=JobState.FAILED, cause=MEMORY, reason=MEMORY, due=False)
    assert not by_itself(run, planned, record, Past()).due


@pytest.mark.parametrize(
    ("key", "kind", "left_out"),
    [
        ("network", Kind.NETWORK, ""),
        ("preempted", Kind.PREEMPTED, ""),
        ("file system", Kind.FILE_SYSTEM, "a100-1"),
        ("port", Kind.PORT, ""),
    ],
)
def test_what_passes_is_submitted_again_if_the_experiment_says_so(
    key: str, kind: Kind, left_out: str
) -> None:
    bounds = RetryFile.model_validate({key: 1}).bounds
    run = run_with(bounds)
    (planned,) = run.plan.jobs
    (record,) = by_themselves(run, [failed(str(kind))], {})
    assert (record.due, record.exclude, record.memory_gb) == (True, left_out, None)
    record = replace(record, state=JobState.FAILED, cause=str(kind), reason=str(kind), due=False)
    assert not by_itself(run, planned, record, Past()).due


def test_of_several_nodes_the_one_that_srun_names_is_left_out_and_else_none() -> None:
    run = run_with({NODE: 3})
    (planned,) = run.plan.jobs
    said = "node failure: srun: error: Node failure on a100-2; advice"
    named = failed(NODE, host="a100-[1-2]", died_of=said)
    assert by_itself(run, planned, named, Past()).exclude == "a100-2"
    both = replace(named, died_of=said.replace("a100-2", "a100-[1-2]"))
    assert by_itself(run, planned, both, Past()).exclude == ""


def test_what_slurm_cancelled_with_it_comes_along_and_what_a_person_cancelled_does_not() -> None:
    train, evaluate = job(), job("evaluate/0", after=("train/0",))
    report = job("report", after=("evaluate/0",))
    run = run_with({MEMORY: 1}, train, evaluate, report)
    below: dict[str, Any] = {"state": JobState.CANCELLED, "host": None, "ended": 100.0}
    child = failed(str(Kind.CANCELLED), name="evaluate/0", stage="evaluate", **below)
    grandchild = failed(str(Kind.CANCELLED), name="report", stage="report", **below)
    found = by_themselves(run, [failed(MEMORY), child, grandchild], {})
    assert [record.due for record in found] == [True, True, True]
    by_person = replace(child, waits_on=Wait.PERSON)
    found = by_themselves(run, [failed(MEMORY), by_person, grandchild], {})
    assert [record.due for record in found] == [True, False, False]
    # Slurm was late: the parent has been submitted again since.
    parent = failed("", state=JobState.PENDING, attempt=2, submitted=90.0, retries={MEMORY: 1})
    assert by_themselves(run, [parent, child, grandchild], {})[1].due
    # Somebody has cancelled it by hand, much later.
    late = replace(child, ended=1000.0)
    assert not by_themselves(run, [parent, late, grandchild], {})[1].due


def test_a_shared_answer_says_only_that_there_is_something_to_do() -> None:
    run, records = run_with({MEMORY: 1}), [failed(MEMORY)]
    shared = decide(run, records, Observation(now=0.0, fresh=False), CONTINUE_ONLY)
    assert shared.submit == {"train/0"}
    assert shared.records[0].state is JobState.FAILED
    fresh = decide(run, records, Observation(now=0.0), CONTINUE_ONLY)
    assert fresh.submit == {"train/0"}
    assert (fresh.records[0].state, fresh.records[0].retries) == (JobState.WAITING, {MEMORY: 1})


def test_the_end_of_any_job_is_looked_at_while_one_may_be_submitted_again() -> None:
    running = failed("", state=JobState.RUNNING)
    assert passes_after(run_with({MEMORY: 1}), [running], True).after_one == [running]
    assert passes_after(run_with({}), [running], True).after_one is None
    # Nothing runs whose end could be looked at.
    assert passes_after(run_with({MEMORY: 1}), [failed(MEMORY)], True).after_one is None


def test_the_bounds_hold_over_a_rescan(tmp_path: Path) -> None:
    run = dataclasses.replace(run_with({MEMORY: 2}), folder=tmp_path, by_name={})
    (planned,) = run.plan.jobs
    (tmp_path / planned.folder / "attempt-2").mkdir(parents=True)
    run.save([failed(MEMORY, attempt=2, retries={MEMORY: 1}, folder=planned.folder)])
    (found,) = run.rescanned()
    assert (found.attempt, found.retries) == (2, {MEMORY: 1})


def test_without_the_key_nothing_is_submitted_again() -> None:
    records = [failed(MEMORY)]
    assert by_themselves(run_with({}), records, {}) == records


def until_rest(folder: Path) -> dict[str, dict[str, Any]]:
    deadline = time.monotonic() + 90
    while True:
        found = jobs(folder)
        active = ("PENDING", "RUNNING", "COMPLETING", "UNKNOWN", "WAITING")
        if not any(one["state"] in active for one in found.values()):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


@pytest.mark.skipif(sys.platform != "linux", reason="the local cluster needs /proc")
def test_the_local_cluster_raises_memory_by_itself_and_leaves_the_rest_to_a_person(
    tmp_path: Path,
) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import os, sys\n"
        "if int(os.environ['ORCH_ATTEMPT']) <= int(sys.argv[1]):\n"
        "    raise MemoryError if sys.argv[2] == 'memory' else TypeError('wrong')\n"
    )
    small = "resources: {cpus: 1, memory_gb: 1, minutes: 5}"
    python = sys.executable
    file = describe(
        tmp_path,
        f"  good: {{command: '{python} train.py 1 memory', {small}}}\n"
        f"  after: {{command: 'echo done', after: good, {small}}}\n"
        f"  bad: {{command: '{python} train.py 9 memory', {small}}}\n"
        f"  wrong: {{command: '{python} train.py 9 code', {small}}}\n",
        top="retry: {host memory: 1}\n",
    )
    assert orch(tmp_path, "launch", file, "--cluster", "local", "--no-watch").returncode == 0
    found = until_rest(tmp_path)
    states = {name: one["state"] for name, one in found.items()}
    assert states == {
        "good": "COMPLETED",
        "after": "COMPLETED",
        "bad": "FAILED",
        "wrong": "FAILED",
    }
    why = {name: orch(tmp_path, "why", name).stdout for name in ("good", "bad", "wrong")}
    assert "raised by retries: memory_gb=2 (planned: 1)" in why["good"]
    assert "retried automatically: host memory 1 of 1" in why["good"]
    assert "not retried automatically: 1 of 1 retries after host memory are used up" in why["bad"]
    assert "retried automatically: host memory 0 of 1" in why["wrong"]
    (run,) = (tmp_path / "runs" / "trial").iterdir()
    attempts = {one.parent.name for one in run.glob("jobs/*/attempt-2")}
    assert {"good", "bad"} <= attempts
    assert "wrong" not in attempts
