"""The local scheduler's table with rows of another shape: these are made anew, the others stay."""

import fcntl
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from jobs.spec import Resources
from orchestrator.clusters.local.cluster import LOCK, holder
from orchestrator.clusters.local.machine import this_machine
from orchestrator.clusters.local.scheduler import Scheduler
from orchestrator.clusters.local.slots import entry, ledger
from orchestrator.clusters.local.table import began, read_table
from orchestrator.description.profile import Profile
from orchestrator.node.system import lives, process_start, write_json
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.documents import damage
from orchestrator.runs.run import Run
from tests.support.cli import SMALL, describe

VALUES = (None, -1, 10**400, "", "x", "COMPLETING", "/" + "y" * 9000, [], [1], {}, {"x": [1]})
RESOURCES = {"gpus": 0, "cpus": 1, "memory_gb": 1, "minutes": 5}


def row(run: Run, token: str, **values: Any) -> dict[str, Any]:
    """A row of the table, with everything that it needs."""
    attempt = run.folder / "jobs" / "a" / "attempt-1"
    return {
        "job_id": f"L-{token}",
        "token": token,
        "name": "a",
        "script": str(attempt / "script.sh"),
        "log": str(attempt / "log.txt"),
        "exit": str(attempt / "exit.json"),
        "cwd": str(run.folder),
        "after": [],
        "ended": [],
        "resources": dict(RESOURCES),
        "reason": "",
        **values,
    }


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run on this machine, whose CPUs nobody else has: what other tests started has a ledger of
    its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    plan = make_plan(describe(tmp_path, f"  a: {{command: sleep 60, {SMALL}}}\n"))
    run = create_run(plan, Profile(kind="local"), tmp_path / "runs")
    (run.folder / "jobs" / "a" / "attempt-1").mkdir()
    (run.folder / "scheduler" / "queue").mkdir(parents=True)
    return run


@pytest.mark.parametrize("busy", [False, True], ids=["free", "busy"])
@pytest.mark.parametrize("state", ["RUNNING", "PENDING", "COMPLETED"])
def test_a_row_of_another_shape_takes_no_other_with_it(run: Run, state: str, busy: bool) -> None:
    if busy:
        machine = this_machine()
        everything = Resources(cpus=machine.cpus, memory_gb=machine.memory_gb)
        with ledger() as entries:
            entries.append(entry(os.getpid(), everything, [], "of another run"))
    started = {"pid": 2**22 + 1, "start": "7@x", "started": 1.0, "ending": "TIMEOUT", "kill_at": 9}
    started |= {"began": 1.0}
    whole = row(run, "t", state=state, **(started if state == "RUNNING" else {}))
    other = row(run, "o", state="CANCELLED", reason="cancelled", ended=2.0)
    broken = [{key: whole[key] for key in whole if key != gone} for gone in whole]
    broken += [{**whole, key: value} for key in whole for value in VALUES]
    broken += [{**whole, "resources": {**RESOURCES, "a key of tomorrow": 1}}]
    table = run.folder / "scheduler" / "table.json"
    for one in broken:
        write_json(table, {"t": one, "o": other})
        damage.told()
        scheduler = Scheduler(run)
        scheduler.round()
        written = json.loads(table.read_text())
        assert written["o"] == other, one
        now = read_table(run)["t"]["state"]
        # What starts has no script, and ends at once; beside others that have all it waits.
        ends = {"FAILED", "CANCELLED", "NODE_FAIL", "COMPLETED", "TIMEOUT"}
        may = ends | {"PENDING" if busy else "RUNNING"}
        assert now in may - ({state} if state == "RUNNING" else set()), one
        for child in scheduler.children.values():
            child.wait()


def test_a_job_that_cannot_be_started_keeps_no_other_from_it(run: Run) -> None:
    gone = row(run, "t", state="PENDING", cwd=str(run.folder / "gone"))
    other = row(run, "o", state="PENDING", script="/dev/null")
    write_json(run.folder / "scheduler" / "table.json", {"t": gone, "o": other})
    scheduler = Scheduler(run)
    scheduler.round()
    assert scheduler.table["t"]["state"] == "FAILED"
    assert "cannot be started: " in scheduler.table["t"]["reason"]
    assert scheduler.children["o"].wait() == 0


def test_a_row_that_is_lost_is_made_anew_from_the_queue(run: Run) -> None:
    folder = run.folder / "scheduler"
    write_json(folder / "queue" / "t.json", row(run, "t"))
    write_json(folder / "table.json", {"t": {"job_id": "L-t", "state": "RUNNING"}})
    damage.told()
    # Nobody wants it any more, as far as the state file says.
    assert read_table(run)["t"]["state"] == "CANCELLED"
    (line,) = damage.told()
    assert "table.json: t: is damaged: made anew" in line


@pytest.mark.parametrize("noted", [math.inf, math.nan, 10**400, -1, "x", None], ids=str)
def test_a_beginning_that_no_clock_shows_lifts_no_time_limit(noted: Any) -> None:
    start = process_start(os.getpid())
    assert began({"began": noted, "start": start}) == pytest.approx(began({"start": start}), abs=1)


@pytest.mark.parametrize("state", ["COMPLETING", "SUSPENDED", "SKIPPED", "UNKNOWN", "WAITING"])
def test_a_state_that_the_scheduler_never_writes_is_none(run: Run, state: str) -> None:
    table = run.folder / "scheduler" / "table.json"
    write_json(table, {"t": row(run, "t", state=state)})
    damage.told()
    # Nobody would look after it, and a job that was skipped counts as done.
    assert read_table(run)["t"]["state"] == "FAILED"
    assert "made anew" in damage.told()[0]


@pytest.mark.parametrize("pid", ["x", 0, -1, 10**400, 2**40, [1], None], ids=str)
def test_a_process_that_there_cannot_be_does_not_live(pid: Any) -> None:
    assert not lives({"pid": pid, "start": process_start(os.getpid())})


@pytest.mark.parametrize("said", [b"", b"x y", b"\xff 1", b"9" * 5000 + b" 1", b"1"], ids=len)
def test_a_lock_that_says_something_else_names_no_scheduler(run: Run, said: bytes) -> None:
    path = run.folder / "scheduler" / LOCK
    path.write_bytes(said)
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert holder(run.folder / "scheduler") is None
