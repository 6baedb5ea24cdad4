"""`orch why` says in plain words which source decided a job's state."""

import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.description.profile import Profile
from orchestrator.runs.create import create_run
from orchestrator.runs.reconcile import reconcile
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.rules import RULES
from orchestrator.runs.run import Run
from orchestrator.runs.sources import ExitRecord
from orchestrator.views.why import DECIDED_BY, why
from tests.support.builders import planned

KEEPS_OR_OWN = {"results_removed", "never_submitted", "failure_stands", "nothing_new"}
"""Rules that keep what was known, or whose reason says all."""
RENAMED: set[str] = set()
"""Names that rules had once and that state files may still hold."""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    description = {
        "experiment": "x",
        "stages": {"a": {"command": "true", "resources": {"cpus": 1, "minutes": 1}}},
    }
    return create_run(
        planned(description, tmp_path), Profile(name="local", kind="local"), tmp_path / "runs"
    )


def failed(run: Run) -> Record:
    """The record of its job, which failed with exit code 3."""
    (before,) = run.load()
    before = replace(before, attempt=1, token="0123456789", job_id="7", state=JobState.RUNNING)
    exit_record = ExitRecord(
        token="0123456789",
        job_id="7",
        host="n1",
        pid=1,
        exit_code=3,
        started=1.0,
        ended=2.0,
        results=False,
    )
    (after,) = reconcile([before], {}, {}, {before.name: exit_record}, set(), time.time())
    return after


def decided(run: Run, record: Record) -> list[str]:
    return [line for line in why(run, record, [record]) if line.startswith("decided by")]


def test_every_rule_has_its_words_and_no_words_are_stale() -> None:
    names = {rule.__name__ for rule in RULES}
    assert names | RENAMED == KEEPS_OR_OWN | set(DECIDED_BY)
    assert not KEEPS_OR_OWN & set(DECIDED_BY)
    assert not names & RENAMED


def test_the_source_that_decided_is_named(run: Run) -> None:
    assert decided(run, failed(run)) == ["decided by: the exit record on the node"]


def test_it_is_named_from_the_state_file_too(run: Run) -> None:
    run.save([failed(run)])
    (loaded,) = run.load()
    assert decided(run, loaded) == ["decided by: the exit record on the node"]


@pytest.mark.parametrize("source", ["gate", "limit", "orch"])
def test_what_orch_itself_has_decided_since_has_its_reason_alone(run: Run, source: str) -> None:
    assert decided(run, replace(failed(run), state=JobState.WAITING, source=source)) == []


def test_of_a_job_that_is_nowhere_it_is_said_who_was_asked(run: Run) -> None:
    before = replace(run.load()[0], token="0123456789", state=JobState.RUNNING, source="squeue")
    (after,) = reconcile([before], {}, {}, {}, set(), time.time())
    assert decided(run, after) == ["decided by: its absence from both the queue and accounting"]


def test_a_record_of_an_older_version_names_none(run: Run) -> None:
    assert decided(run, replace(failed(run), rule="")) == []


def test_a_rule_that_another_version_had_leaves_the_record_readable(run: Run) -> None:
    run.save([replace(failed(run), rule="of_another_version")])
    (loaded,) = run.load()
    assert decided(run, loaded) == []


def test_results_that_somebody_has_removed_are_missed(run: Run) -> None:
    (record,) = run.load()
    done = replace(record, state=JobState.COMPLETED, attempt=1)
    gone = "its results.json is gone: orch launch runs it again"
    assert gone in why(run, done, [done])
    run.results(record).parent.mkdir(parents=True)
    run.results(record).write_text("{}")
    assert gone not in why(run, done, [done])
