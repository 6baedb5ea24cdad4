"""Of many that follow a run one asks, and the others see what it has saved."""

import os
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.clusters.local.cluster import LocalCluster
from orchestrator.lifecycle.refresh import look, refresh
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.record import JobState
from orchestrator.runs.run import ANSWERED, Run
from tests.support.builders import PLANNED
from tests.support.cli import SMALL, describe
from tests.support.locks import held


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    plan = make_plan(describe(tmp_path, f"  a: {{command: sleep 60, {SMALL}}}\n"))
    return create_run(plan, PLANNED, tmp_path / "runs")


def test_what_another_process_has_just_found_out_will_do(run: Run) -> None:
    records, _ = refresh(run)
    other = [replace(record, state=JobState.SKIPPED, reason="by the other") for record in records]
    run.save(other)
    # The lock is somebody else's: a pass of its own would wait for it.
    with held(run.folder / "state.lock"):
        assert look(run, 60.0) == (other, "")
    before = time.time() - 30
    os.utime(run.folder / ANSWERED, (before, before))
    assert look(run, 60.0)[0][0].reason == "by the other"
    assert time.time() - (run.folder / ANSWERED).stat().st_mtime > 20
    look(run, 20.0)
    assert time.time() - (run.folder / ANSWERED).stat().st_mtime < 20


@pytest.mark.parametrize("ahead", [3600.0, 10 * 86400.0])
def test_a_clock_that_was_ahead_keeps_nobody_from_asking(run: Run, ahead: float) -> None:
    refresh(run)
    os.utime(run.folder / ANSWERED, (time.time() + ahead,) * 2)
    assert not run.answered_within(60.0)


def test_a_scheduler_that_cannot_be_asked_is_told_to_everybody(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_answer(cluster: LocalCluster, *_: object) -> None:
        cluster.trouble = "it does not answer"

    monkeypatch.setattr(LocalCluster, "ask", no_answer)
    (record,) = run.load()
    run.save([replace(record, state=JobState.RUNNING, token="0" * 10, job_id="L-0", attempt=1)])
    for _ in range(2):
        assert look(run, 60.0)[1] == "it does not answer"
    assert not (run.folder / ANSWERED).exists()
