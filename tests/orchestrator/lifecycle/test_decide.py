"""What a pass decides, as a calculation: records and an observation in, records and what is to be
submitted out."""

from __future__ import annotations

import itertools
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.lifecycle.deaths.kinds import Kind
from orchestrator.lifecycle.decide import (
    Request,
    decide,
    described,
    holds,
    passes_after,
)
from orchestrator.lifecycle.observe import (
    Observation,
    as_observed,
    is_intent,
    with_logs,
    with_siblings,
)
from orchestrator.runs.record import ACTIVE, Doubt, JobState, Record, Wait
from orchestrator.runs.run import Run, waiting
from orchestrator.runs.sources import ExitRecord, SchedulerRecord
from tests.support.builders import job, run_of
from tests.support.work import lines_of

EVERYTHING = Request(everything=True)


def records_of(run: Run, **states: dict[str, Any]) -> list[Record]:
    """The records of a run's jobs, with the given values by job name."""
    return [replace(waiting(item), **states.get(item.name, {})) for item in run.plan.jobs]


def was_submitted(name: str, state: JobState = JobState.RUNNING) -> dict[str, Any]:
    """The values of a job that was submitted."""
    return {"state": state, "token": f"t-{name}", "job_id": f"1{name}", "attempt": 1, "seen": 5.0}


def in_queue(*names: str) -> dict[str, SchedulerRecord]:
    """The queue's answer that shows these jobs running."""
    return {
        f"t-{name}": SchedulerRecord(job_id=f"1{name}", token=f"t-{name}", state=JobState.RUNNING)
        for name in names
    }


def failed(name: str, stage: str = "s", kind: Kind = Kind.CODE) -> dict[str, Any]:
    """The values of a job that has failed."""
    return was_submitted(name, JobState.FAILED) | {"cause": str(kind), "reason": "KeyError: 'x'"}


CHAIN = (job("a"), job("b", after=("a",)), job("c", after=("b",)))


def test_a_launch_submits_all_that_waits_parents_first() -> None:
    run = run_of(*CHAIN)
    made = decide(run, records_of(run), Observation(now=10.0), EVERYTHING)
    assert made.submit == {"a", "b", "c"}
    assert [record.waits_on for record in made.records] == [None, Wait.PARENTS, Wait.PARENTS]
    assert made.records[1].reason == "a WAITING"


def test_a_pass_that_nobody_asked_to_submit_submits_what_was_wanted_before_alone() -> None:
    run = run_of(*CHAIN)
    seen = Observation(now=10.0)
    assert decide(run, records_of(run), seen, Request()).submit == set()
    limited = records_of(run, a={"waits_on": Wait.QUEUE_LIMIT, "source": "limit"})
    assert decide(run, limited, seen, Request()).submit == {"a"}
    assert decide(run, records_of(run), seen, Request(also={"a"})).submit == {"a"}


def test_only_a_parent_that_the_queue_showed_now_may_be_named_as_a_dependency() -> None:
    run = run_of(*CHAIN)
    records = records_of(run, a=was_submitted("a"))
    shown = Observation(now=10.0, queue=in_queue("a"))
    assert decide(run, records, shown, EVERYTHING).submit == {"b", "c"}
    for blind in (Observation(now=10.0), Observation(now=10.0, queue={})):
        assert decide(run, records, blind, EVERYTHING).submit == set()
    just_now = records_of(run, a=was_submitted("a", JobState.PENDING) | {"submitted": 11.0})
    assert decide(run, just_now, Observation(now=10.0), EVERYTHING).submit == {"b", "c"}


def test_what_has_no_room_waits_for_it_and_says_so() -> None:
    run = run_of(*CHAIN)
    seen = Observation(now=10.0, room=1, limits="waits for room")
    made = decide(run, records_of(run), seen, EVERYTHING)
    assert made.submit == {"a"}
    assert [record.waits_on for record in made.records[1:]] == [Wait.QUEUE_LIMIT] * 2
    assert {record.reason for record in made.records[1:]} == {"waits for room"}
    assert passes_after(run, made.records, submitted=True).after_one == []


def test_a_job_that_waits_for_room_stays_wanted_when_its_parent_fails() -> None:
    run = run_of(*CHAIN[:2])
    limited = {"waits_on": Wait.QUEUE_LIMIT, "source": "limit", "reason": "waits for room"}
    (_, child) = described(run, records_of(run, a=failed("a"), b=limited))
    assert (child.waits_on, child.reason) == (Wait.QUEUE_LIMIT, "a FAILED")


def test_a_job_that_was_cancelled_because_its_canary_failed_waits_for_it_again() -> None:
    first, second = job("s/0"), changed(job("s/1"), canary="s/0")
    run = run_of(first, second)
    records = records_of(
        run, **{"s/0": failed("s/0"), "s/1": was_submitted("s/1", JobState.CANCELLED)}
    )
    (_, behind) = decide(run, records, Observation(now=10.0), Request()).records
    assert (behind.state, behind.waits_on, behind.token) == (JobState.WAITING, Wait.CANARY, "")
    assert behind.reason == "held: the canary s/0 is FAILED: KeyError: 'x'"
    by_hand = [records[0], replace(records[1], waits_on=Wait.PERSON)]
    (_, kept) = decide(run, by_hand, Observation(now=10.0), Request()).records
    assert kept.state is JobState.CANCELLED, "only a person brings back what a person has ended"


def test_jobs_that_would_fail_as_others_have_are_held_until_one_completes() -> None:
    run = run_of(*[job(f"s/{n}") for n in range(4)])
    queued = was_submitted("s/2", JobState.PENDING)
    records = records_of(run, **{"s/0": failed("s/0"), "s/1": failed("s/1"), "s/2": queued})
    wanted = holds(records)
    assert ([r.name for r in wanted.hold], wanted.release) == (["s/2"], [])
    held = [replace(r, held=r.name == "s/2") for r in records]
    said = described(run, held)
    assert [record.waits_on for record in said[2:]] == [Wait.SIBLINGS] * 2
    assert said[2].reason.startswith("held: s/0 and 1 more died of")
    assert decide(run, held, Observation(now=10.0), EVERYTHING).submit == set()
    forced = Request(everything=True, forced={"s/3"})
    assert decide(run, held, Observation(now=10.0), forced).submit == {"s/3"}
    one_completed = [replace(said[0], state=JobState.COMPLETED), *said[1:]]
    assert [record.name for record in holds(one_completed).release] == ["s/2"]
    assert described(run, one_completed)[3].waits_on is None


@pytest.mark.parametrize("queue", [None, {}])
def test_a_job_that_left_the_queue_is_in_doubt_for_the_reason_that_there_is(
    queue: dict[str, SchedulerRecord] | None,
) -> None:
    run = run_of(job("a"))
    records = records_of(run, a=was_submitted("a"))
    (unseen,) = as_observed(run, records, Observation(now=10.0, queue=queue))
    if queue is None:
        assert unseen == records[0], "could not ask is not gone"
        return
    assert (unseen.state, unseen.doubt) == (JobState.UNKNOWN, Doubt.UNASKED)
    (nowhere,) = as_observed(run, records, Observation(now=10.0, queue={}, accounting={}))
    assert nowhere.doubt is Doubt.NOWHERE
    (back,) = as_observed(run, [nowhere], Observation(now=11.0, queue=in_queue("a")))
    assert (back.state, back.doubt) == (JobState.RUNNING, None)


def test_a_reason_of_many_jobs_is_searched_for_secrets_once() -> None:
    names = [f"s/{n}" for n in range(200)]
    run = run_of(*map(job, names))
    records = records_of(run, **{name: was_submitted(name, JobState.PENDING) for name in names})

    def lines(*reasons: str) -> int:
        queue = {
            token: replace(record, state=JobState.PENDING, reason=reason)
            for name, reason in zip(names, itertools.cycle(reasons), strict=False)
            for token, record in in_queue(name).items()
        }
        seen = Observation(now=10.0, queue=queue)
        assert {record.reason for record in as_observed(run, records, seen)} == set(reasons)
        return lines_of(lambda: as_observed(run, records, seen))

    assert 3 * lines("(Priority)") < lines(*(f"(ReqNodeNotAvail, n{n})" for n in range(200)))


def test_a_job_that_died_says_of_what_by_its_log() -> None:
    run = run_of(job("a"))
    left = ExitRecord(
        token="t-a", job_id="1a", host="n", pid=1, exit_code=1, started=1.0, ended=2.0,
        results=False, reason="x",
    )  # fmt: skip
    seen = Observation(
        now=99.0,
        queue={},
        accounting={},
        exits={"a": left},
        logs={"a": [b"ModuleNotFoundError: No module named 'y'"]},
    )
    (died,) = as_observed(run, records_of(run, a=was_submitted("a")), seen)
    assert (died.state, died.cause) == (JobState.FAILED, str(Kind.PACKAGE))
    assert "No module named 'y'" in died.reason


def test_a_job_that_died_since_the_queue_was_asked_says_of_what_by_its_log(tmp_path: Path) -> None:
    run = changed(run_of(job("a")), folder=tmp_path)
    records = records_of(run, a=was_submitted("a"))
    run.log(records[0]).parent.mkdir(parents=True)
    run.log(records[0]).write_text("engines.ppo: epochs: -1 is no number of epochs\n")
    left = ExitRecord(
        token="t-a", job_id="1a", host="n", pid=1, exit_code=2, started=1.0, ended=2.0,
        results=False, reason="x",
    )  # fmt: skip
    seen = Observation(now=3.0, queue=in_queue("a"), exits={"a": left})
    (died,) = as_observed(run, records, with_logs(run, seen, records, []))
    assert (died.state, died.cause) == (JobState.FAILED, str(Kind.CODE))


def test_ids_that_a_killed_launch_had_noted_are_taken_over() -> None:
    run = run_of(job("a"))
    intent = was_submitted("a", JobState.PENDING) | {"job_id": None}
    (found,) = as_observed(
        run, records_of(run, a=intent), Observation(now=1.0, journal={"t-a": "7"})
    )
    assert (found.job_id, is_intent(found)) == ("7", False)


def test_an_array_that_has_arrived_has_arrived_whole() -> None:
    run = run_of(job("s/0"), job("s/1"), job("t"))
    common = {"state": JobState.UNKNOWN, "submitted": 3.0, "attempt": 1}
    records = records_of(
        run,
        **{
            "s/0": common | {"token": "h_0", "job_id": "9_0"},
            "s/1": common | {"token": "h_1"},
            "t": common | {"token": "other"},
        },
    )
    assert [record.job_id for record in with_siblings(records)] == ["9_0", "9_1", None]


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_nothing_that_may_be_active_is_submitted_and_nothing_before_its_parents(
    data: st.DataObject,
) -> None:
    names = [f"j{n}" for n in range(6)]
    jobs = [
        job(name, after=tuple(data.draw(st.sets(st.sampled_from(names[:n])))) if n else ())
        for n, name in enumerate(names)
    ]
    run = run_of(*jobs)
    states: dict[str, dict[str, Any]] = {}
    for name in names:
        state = data.draw(st.sampled_from(JobState))
        if state is not JobState.WAITING:
            states[name] = was_submitted(name, state)
            if state is JobState.UNKNOWN:
                states[name]["doubt"] = data.draw(st.sampled_from(Doubt))
    records = records_of(run, **states)
    queue = in_queue(*data.draw(st.sets(st.sampled_from(names))))
    seen = Observation(now=10.0, queue=queue, room=data.draw(st.none() | st.integers(0, 4)))
    made = decide(run, records, seen, EVERYTHING)
    before = {record.name: record for record in records}
    if seen.room is not None:
        assert len(made.submit) <= seen.room
    for name in made.submit:
        assert before[name].state is JobState.WAITING
        for parent in run.by_name[name].waits_for:
            over = before[parent].state in (JobState.COMPLETED, JobState.SKIPPED)
            shown = before[parent].state in ACTIVE and f"t-{parent}" in queue
            assert over or shown or parent in made.submit
    again = decide(run, made.records, seen, EVERYTHING)
    assert (again.submit, again.records) == (made.submit, made.records), "deciding changes nothing"
