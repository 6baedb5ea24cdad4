"""Batches on their way to a scheduler that takes some, refuses some, and is unclear about others:
nothing is submitted twice, no id is lost, and what may have arrived keeps its token."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.clusters.batch import Batch, Waits
from orchestrator.description.profile import Profile
from orchestrator.errors import AmbiguousSubmit, NoRoom, SubmitError
from orchestrator.lifecycle.act import as_withdrawn
from orchestrator.lifecycle.batching import make_batches
from orchestrator.lifecycle.sending import batches as sending_module
from orchestrator.lifecycle.sending.at_once import independent
from orchestrator.lifecycle.sending.batches import Sending
from orchestrator.runs.record import Doubt, JobState, Record
from orchestrator.runs.run import Run, waiting
from tests.support.builders import job, plan_of

JOBS = 9


@dataclass
class Scheduler:
    """Answers each batch as it is told; counts what it has taken."""

    answers: dict[str, str]
    submissions_at_once: int = 4
    queued: int | None = None
    looks: int = 0
    trouble: str = ""
    taken: Counter[str] = field(default_factory=Counter)
    lock: Any = field(default_factory=threading.Lock)

    def submit(self, batch: Batch, _waits: Waits) -> str:
        name = batch.jobs[0].name
        answer = self.answers.get(name, "taken")
        time.sleep(0.001)
        if answer == "no room":
            raise NoRoom("no room", 1, "limit", True)
        if answer == "refused":
            raise SubmitError("refused")
        with self.lock:
            self.taken[name] += 1
        if answer == "lost answer":
            raise AmbiguousSubmit("lost")
        return str(100 + int(name.partition("/")[2]))


def run_in(folder: Path) -> Run:
    """Unlike jobs that do not wait for one another."""
    jobs = [job(f"a/{n}", gpus=n + 1) for n in range(JOBS)]
    return Run(folder, plan_of(*jobs), Profile(kind="slurm"), "uid", "/", 0.0)


def sent(run: Run, scheduler: Scheduler) -> tuple[list[Record], SubmitError | None]:
    """The records after all batches were to be submitted, as ``carry_out`` leaves them."""
    current = {one.name: waiting(one) for one in run.plan.jobs}
    batches = make_batches(run, list(current.values()), set(current), 1000)
    intents = dict(current)
    for batch in batches:
        for record in batch.records:
            intents[record.name] = replace(record, state=JobState.PENDING, submitted=1.0)
    sending = Sending(run, scheduler, current, intents, lambda _line: None)  # type: ignore[arg-type]
    try:
        for group in independent(batches):
            sending.submit(group)
    except NoRoom as error:
        return sending.undo(batches, lambda before, _: before), error
    except SubmitError as error:
        return sending.undo(batches, lambda _, intent: as_withdrawn(intent)), error
    return list(intents.values()), None


@pytest.fixture(autouse=True)
def nobody_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up of a token finds no scheduler that answers."""
    monkeypatch.setattr(
        sending_module, "resolve", lambda _run, records, _cluster, seen: (records, seen)
    )


ANSWERS = st.dictionaries(
    st.integers(0, JOBS - 1).map(lambda n: f"a/{n}"),
    st.sampled_from(["no room", "refused", "lost answer"]),
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(answers=ANSWERS, at_once=st.integers(1, 4))
def test_no_id_is_lost_and_what_may_have_arrived_keeps_its_token(
    answers: dict[str, str], at_once: int, tmp_path: Path
) -> None:
    (tmp_path / "submitted.jsonl").unlink(missing_ok=True)
    run, scheduler = run_in(tmp_path), Scheduler(answers, at_once)
    records, error = sent(run, scheduler)
    assert (error is None) == (not answers)
    noted = run.journalled()
    for record in records:
        count = scheduler.taken[record.name]
        assert count <= 1
        answer = answers.get(record.name, "taken")
        if count and answer == "taken":
            assert (record.state, record.job_id) == (JobState.PENDING, noted[record.token])
        elif count:
            assert (record.state, record.doubt) == (JobState.UNKNOWN, Doubt.AMBIGUOUS)
            assert record.token
        else:
            assert (record.state, record.job_id) == (JobState.WAITING, None)
    assert len(noted) == sum(bool(record.job_id) for record in records)


def test_the_journal_is_forced_to_disk_once_for_a_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[int] = []
    monkeypatch.setattr("os.fsync", lambda descriptor: forced.append(descriptor))
    records, error = sent(run_in(tmp_path), Scheduler({}))
    assert error is None
    assert len(forced) == 1
    lines = (tmp_path / "submitted.jsonl").read_text().splitlines()
    assert {json.loads(line)["job_id"] for line in lines} == {one.job_id for one in records}
