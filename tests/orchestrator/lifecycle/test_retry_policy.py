"""What follows from the cause of a failure, as a calculation and on the local cluster."""

import dataclasses
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from jobs.spec import Resources
from orchestrator.description.profile import Profile
from orchestrator.lifecycle.deaths.kinds import ADVICE, AGAIN, Kind
from orchestrator.lifecycle.retry_policy import (
    GROWS,
    GROWTH,
    MOST,
    again,
    asked,
    refusal,
    would_fail_alike,
)
from orchestrator.runs.record import JobState, Record
from tests.support.builders import job
from tests.support.cli import jobs, orch


def failed(kind: Kind, **values: Any) -> Record:
    usual = {
        "name": "train/0",
        "stage": "train",
        "identity": "i",
        "folder": "jobs/train.0",
        "attempt": 1,
        "token": "t",
        "job_id": "7",
        "state": JobState.FAILED,
        "cause": str(kind),
        "reason": f"{kind}: line 3; advice",
        "host": "a100-1",
    }
    return Record(**usual | values)


@settings(deadline=None, max_examples=50)
@given(
    memory=st.integers(1, 500),
    limit=st.none() | st.integers(1, 1000),
    kind=st.sampled_from([Kind.HOST_MEMORY, Kind.TIME_LIMIT]),
)
def test_retries_ask_for_more_up_to_the_bound_and_are_refused_at_it(
    memory: int, limit: int | None, kind: Kind
) -> None:
    key, profile_key = (
        ("memory_gb", "memory_gb_per_node")
        if kind is Kind.HOST_MEMORY
        else ("minutes", "max_minutes")
    )
    plan, profile = job(**{key: memory}), Profile(kind="slurm", **{profile_key: limit})
    record, asks = failed(kind), [memory]
    while not refusal(plan, record, profile, dataclasses.asdict(asked(plan, record).resources)):
        record = replace(again(plan, record, profile), state=JobState.FAILED, cause=str(kind))
        asks.append(getattr(asked(plan, record).resources, key))
        assert asks[-2] < asks[-1] <= max(GROWTH * asks[-2] + 1, memory)
    assert asks[-1] <= MOST * memory
    assert limit is None or asks[-1] <= max(limit, memory)
    assert len(asks) <= 6


def test_the_advice_says_in_words_how_much_more_a_retry_asks_for() -> None:
    assert GROWTH == 1.5
    for kind in GROWS:
        assert re.match(r"orch retry asks for half as much (memory|time) again", ADVICE[kind])


def test_a_failed_node_is_left_out_next_time_and_the_ones_before_it_too() -> None:
    record = again(job(), failed(Kind.NODE, exclude="a100-7"), Profile(kind="slurm"))
    assert (record.exclude, record.state, record.cause, record.token) == (
        "a100-1,a100-7",
        JobState.WAITING,
        "",
        "",
    )
    assert again(job(), failed(Kind.PREEMPTED), Profile(kind="slurm")).exclude == ""


@pytest.mark.parametrize("kind", list(Kind))
def test_what_stays_wrong_is_not_tried_again_unless_a_person_asks_for_something_else(
    kind: Kind,
) -> None:
    plan, profile = job(memory_gb=8), Profile(kind="slurm")
    same, other = dataclasses.asdict(plan.resources), dataclasses.asdict(Resources(memory_gb=4))
    assert bool(refusal(plan, failed(kind), profile, same)) == (kind not in AGAIN)
    assert refusal(plan, failed(kind), profile, other) == ""


def test_siblings_are_held_after_two_like_failures_of_the_code_and_only_then() -> None:
    waiting = [
        failed(Kind.UNKNOWN, name=f"train/{n}", state=JobState.PENDING, cause="", reason="Priority")
        for n in (2, 3)
    ]
    other = failed(Kind.UNKNOWN, name="report", stage="report", state=JobState.WAITING, cause="")
    one, two = (
        failed(Kind.CODE, name=f"train/{n}", reason=f"TypeError: bad seed {n}") for n in (0, 1)
    )
    assert would_fail_alike([one, *waiting, other]) == {}
    held = would_fail_alike([one, two, *waiting, other])
    assert set(held) == {"train/2", "train/3"}
    assert held["train/2"] == "held: train/0 and 1 more died of TypeError: bad seed 0"
    assert would_fail_alike([one, replace(two, reason="ValueError: other"), *waiting]) == {}
    assert would_fail_alike([replace(r, cause=str(Kind.NODE)) for r in (one, two)] + waiting) == {}
    assert (
        would_fail_alike(
            [
                one,
                two,
                *waiting,
                failed(Kind.UNKNOWN, name="train/9", state=JobState.COMPLETED, cause=""),
            ]
        )
        == {}
    )


def test_only_siblings_with_the_values_that_all_the_dead_share_are_held() -> None:
    waiting = [
        failed(Kind.UNKNOWN, name=f"train/lr={rate},seed={n}", state=JobState.WAITING, cause="")
        for rate in (1, 2)
        for n in (2, 3)
    ]
    one, two, other = (
        failed(Kind.GPU_MEMORY, name=f"train/lr={rate},seed={n}", reason="CUDA out of memory")
        for rate, n in ((1, 0), (1, 1), (2, 0))
    )
    # Two seeds of one learning rate: the seed is not the cause, the rate may be.
    assert set(would_fail_alike([one, two, *waiting])) == {"train/lr=1,seed=2", "train/lr=1,seed=3"}
    # One of the other rate too: no axis is the cause.
    assert len(would_fail_alike([one, two, other, *waiting])) == len(waiting)
    # What all jobs share needs no values in common.
    package = [replace(r, cause=str(Kind.PACKAGE)) for r in (one, two)]
    assert len(would_fail_alike([*package, *waiting])) == len(waiting)


def test_two_files_that_are_missing_hold_nobody_and_one_holds_the_rest() -> None:
    waiting = failed(Kind.UNKNOWN, name="train/2", state=JobState.WAITING, cause="")
    one, two = (
        failed(Kind.FILE, name=f"train/{n}", reason=f"No such file: '/data/part-{n}'")
        for n in (0, 1)
    )
    assert would_fail_alike([one, two, waiting]) == {}
    assert set(would_fail_alike([one, replace(two, reason=one.reason), waiting])) == {"train/2"}


def test_a_code_error_holds_the_siblings_in_the_queue_until_a_person_retries(
    tmp_path: Path,
) -> None:
    (tmp_path / "train.py").write_text(
        "import sys, time\nraise TypeError(f'bad seed {sys.argv[1]}')\n"
    )
    (tmp_path / "trial.yaml").write_text(
        f"experiment: trial\nabout: trial\nstages:\n  train: {{command: '{sys.executable} "
        f"train.py {{n}}', "
        "matrix: {n: [1, 2, 3, 4, 5, 6, 7, 8]}, "
        "resources: {cpus: 1, memory_gb: 1, minutes: 2}}\n"
    )
    one_core = tmp_path / "two.yaml"
    one_core.write_text("kind: local\nmax_jobs: 2\n")
    assert orch(tmp_path, "launch", "trial.yaml", "--cluster", str(one_core)).returncode == 0
    deadline = time.monotonic() + 60
    while sum(job["state"] == "FAILED" for job in jobs(tmp_path).values()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    found = jobs(tmp_path)
    assert found["train/n=1"]["reason"].startswith(
        "error in code or config: TypeError: bad seed 1; fix it"
    )
    # one or two may have slipped in between
    held = r"held: train/n=1 and \d more died of error in code or config: TypeError"
    assert re.match(held, found["train/n=8"]["reason"]), found["train/n=8"]
    relaunched = orch(tmp_path, "launch", "trial.yaml", "--cluster", str(one_core))
    assert (
        "not submitted again: train/n=1 died of something that another attempt does not change"
        in relaunched.stdout
    )
    assert "0 jobs submitted" in relaunched.stdout, relaunched.stdout
    (tmp_path / "train.py").write_text("")
    assert "submitted train/n=1" in orch(tmp_path, "retry", "--job", "train").stdout
    deadline = time.monotonic() + 60
    while any(job["state"] != "COMPLETED" for job in jobs(tmp_path).values()):
        assert time.monotonic() < deadline, jobs(tmp_path)
        orch(tmp_path, "retry")
        time.sleep(0.3)
