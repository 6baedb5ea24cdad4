"""Slurm starts a job whose node has failed again without end; the node's own program ends it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.lifecycle.failure_causes import Kind, with_cause
from orchestrator.lifecycle.retry_policy import Past, by_itself
from orchestrator.node.claims import NODE_FAILURE, claim, lost_too_often
from orchestrator.node.cost import cost_so_far
from orchestrator.node.system import write_json
from orchestrator.planning.planner import make_plan
from orchestrator.runs.attempts import prepare
from orchestrator.runs.create import create_run
from orchestrator.runs.reconcile import reconcile
from orchestrator.runs.record import JobState
from orchestrator.runs.run import waiting
from orchestrator.runs.sources import read_exit
from tests.support.builders import PLANNED
from tests.support.cli import SMALL, describe
from tests.support.node import SECONDS, TOKEN, attempt_node, first_exit_record, job_folder

STAGES = f"  a: {{command: 'true', {SMALL}}}\n"


def test_the_kind_is_called_alike_everywhere() -> None:
    assert str(Kind.NODE) == NODE_FAILURE


@pytest.mark.usefixtures("each_program")
def test_a_job_that_is_started_again_and_again_without_a_word_ends_with_the_reason(
    tmp_path: Path,
) -> None:
    path = job_folder(tmp_path, ["sh", "-c", "echo $$ > pid; exec sleep 60"])
    job = json.loads((path / "job.json").read_text())
    (path / "job.json").write_text(json.dumps({**job, "lost_at_most": 2}))
    pid = tmp_path / "pid"
    for _ in range(3):
        node = attempt_node(path, "7")
        wait_for(pid)
        # As when a node is lost: nobody can say anything any more.
        node.kill()
        node.wait()
        os.kill(int(pid.read_text()), signal.SIGKILL)
        pid.unlink()
    node = attempt_node(path, "7")
    assert node.wait(SECONDS) == 1
    assert not pid.exists()
    record = first_exit_record(path)
    assert (record["state"], record["requeued"], record["restart"]) == ("NODE_FAIL", False, 3)
    assert record["reason"] == (
        "the scheduler has started it again after 3 starts that ended without a word, and retry "
        "allows 2 for failures of nodes"
    )
    # Another job of the scheduler is not counted among them.
    assert lost_too_often(str(path / "attempt-2"), 0, 0) == ""


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_starts_that_have_said_how_they_ended_are_not_lost_and_keep_their_own_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    attempt = tmp_path / "attempt-1"
    attempt.mkdir()
    for number in range(4):
        assert claim(str(attempt), TOKEN, "7") == number
        # A process that is gone has the claim: the next start is a new one.
        held = json.loads((attempt / "claim.json").read_text())
        (attempt / "claim.json").write_text(json.dumps({**held, "pid": 2**22 + 1}))
        # The second start is lost, the others were preempted.
        if number != 1:
            times = {"started": 0.0, "ended": 3600.0, "host": "h"}
            ended = {"restart": number, "job_id": "7", "exit_code": 0, "results": False, **times}
            write_json(attempt / "exit.json", ended)
    kept = {path.name for path in attempt.glob("exit-*.json")}
    assert kept == {"exit-0.json", "exit-2.json"}
    assert lost_too_often(str(attempt), 3, 1) == ""
    assert "after 1 start that ended" in lost_too_often(str(attempt), 3, 0)
    resources = {"nodes": 1, "gpus": 1, "cpus": 1, "memory_gb": 1, "minutes": 60}
    assert cost_so_far(str(tmp_path), resources)["gpu_hours"] == 3.0
    # Two more starts ended before they had claimed anything.
    monkeypatch.setenv("SLURM_RESTART_COUNT", "5")
    assert "after 3 starts" in lost_too_often(str(attempt), 3, 2)


def test_the_bound_is_on_disk_with_what_is_left_of_it_and_why_says_it(tmp_path: Path) -> None:
    plan = make_plan(describe(tmp_path, STAGES, "retry: {node: 3}\n"))
    run = create_run(plan, PLANNED, tmp_path / "runs")
    path = run.job_folder(plan.jobs[0]) / "job.json"
    assert json.loads(path.read_text())["lost_at_most"] == 3
    record = replace(waiting(plan.jobs[0]), attempt=2, token="t", retries={NODE_FAILURE: 2})
    prepare(run, list(plan.jobs), [record])
    assert json.loads(path.read_text())["lost_at_most"] == 1
    ended = {"token": "t", "job_id": "7", "exit_code": 1, "host": "h", "started": 1.0}
    ended |= {
        "ended": 2.0,
        "results": False,
        "signals": [],
        "requeued": False,
        "restart": 2,
        "pid": 1,
    }
    ended |= {"state": "NODE_FAIL", "reason": "started again after 2 starts"}
    exit_file = run.attempt_folder(record) / "exit.json"
    exit_file.write_text(json.dumps(ended))
    own = read_exit(exit_file)
    assert own is not None
    active = replace(record, state=JobState.RUNNING, job_id="7")
    (died,) = reconcile([active], {}, None, {"a": own}, set(), 10.0)
    died = with_cause(died, own, ())
    assert (died.state, died.cause, died.restarts) == (JobState.NODE_FAIL, NODE_FAILURE, 2)
    left = by_itself(run, plan.jobs[0], died, Past(lost=2))
    assert left.reason == (
        "node failure: started again after 2 starts; orch retry starts it again, elsewhere if "
        "there is another node; not retried automatically: 4 of 3 retries after node failure are used up"
    )
    # Without the word of the experiment the scheduler's bound is the only one.
    other = create_run(make_plan(describe(tmp_path, STAGES)), PLANNED, tmp_path / "runs")
    assert json.loads(path.read_text())["lost_at_most"] is None
    assert other.folder == run.folder
