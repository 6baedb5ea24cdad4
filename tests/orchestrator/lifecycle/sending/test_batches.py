"""Batches on their way to a scheduler that takes some, refuses some, and is unclear about others:
nothing is submitted twice, no id is lost, and what may have arrived keeps its token."""

from __future__ import annotations

import json
import os
import random
import signal
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
from orchestrator.lifecycle.observe import Observation, as_never_arrived, as_observed, is_intent
from orchestrator.lifecycle.sending import batches as sending_module
from orchestrator.lifecycle.sending.at_once import independent
from orchestrator.lifecycle.sending.batches import Sending
from orchestrator.runs.record import Doubt, JobState, Record
from orchestrator.runs.run import Run, waiting
from orchestrator.runs.sources import SchedulerRecord
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


class Noting(Scheduler):
    """Takes everything, and notes it in a file that outlives the process."""

    def __init__(self, path: Path) -> None:
        super().__init__({})
        self.path = path

    def submit(self, batch: Batch, _waits: Waits) -> str:
        time.sleep(0.002 * random.random())
        job_id = batch.jobs[0].name.partition("/")[2]
        with self.path.open("a") as file:
            file.write(f"{batch.token} {job_id}\n")
        # sbatch has the answer of the controller some time before it is gone.
        time.sleep(0.002 * random.random())
        return job_id

    def noted(self) -> list[tuple[str, str]]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [(token, job_id) for token, job_id in (line.split() for line in lines)]


def submit_all(run: Run, scheduler: Noting, records: list[Record]) -> None:
    """Submit what has no id, as ``carry_out`` does: intents on disk first."""
    current = {one.name: one for one in records}
    wanted = {one.name for one in records if one.state is JobState.WAITING}
    batches = make_batches(run, records, wanted, 1000)
    intents = dict(current)
    for batch in batches:
        for record in batch.records:
            intents[record.name] = replace(record, state=JobState.PENDING, submitted=1.0)
    run.save(list(intents.values()))
    sending = Sending(run, scheduler, current, intents, lambda _line: None)  # type: ignore[arg-type]
    for group in independent(batches):
        sending.submit(group)
    run.save(list(intents.values()))


def looked_up(run: Run, scheduler: Noting) -> list[Record]:
    """The records as whoever comes next finds them: ids of the journal, tokens that the scheduler
    knows, and what it does not know ready to be submitted again."""
    queue = {
        token: SchedulerRecord(job_id=job_id, token=token, state=JobState.PENDING)
        for token, job_id in scheduler.noted()
    }
    seen = Observation(now=9.0, journal=run.journalled(), queue=queue, accounting={})
    found = as_observed(run, run.load(), seen)
    return [as_never_arrived(one) if is_intent(one) else one for one in found]


def killed_launch(run: Run, scheduler: Noting, records: list[Record], after: float) -> None:
    """A launch in a process that is killed after so many seconds."""
    pid = os.fork()
    if pid == 0:
        killer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGKILL))
        killer.start()
        submit_all(run, scheduler, records)
        os._exit(0)
    os.waitpid(pid, 0)


def test_whenever_a_launch_is_killed_each_job_is_submitted_once(tmp_path: Path) -> None:
    for trial in range(25):
        folder = tmp_path / "e" / str(trial)
        folder.mkdir(parents=True)
        run, scheduler = run_in(folder), Noting(folder / "taken")
        records = [waiting(one) for one in run.plan.jobs]
        run.save(records)
        for _ in range(3):
            killed_launch(run, scheduler, records, random.uniform(0.0, 0.02))
            records = looked_up(run, scheduler)
        submit_all(run, scheduler, records)
        taken = scheduler.noted()
        assert len(taken) == len(dict(taken)) == JOBS
        assert {one.token: one.job_id for one in run.load()} == dict(taken)
