"""What waits on the cluster `local`: told as if every job were looked at in every round, for the
work of looking at each once."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from orchestrator.clusters.local.machine import Machine
from orchestrator.clusters.local.scheduler import Scheduler
from orchestrator.description.profile import Profile
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.run import Run
from tests.support.cli import SMALL, describe
from tests.support.work import ROOM, lines_of

FAILED = ("FAILED", "CANCELLED", "TIMEOUT")
OVER = ("COMPLETED", *FAILED)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    plan = make_plan(describe(tmp_path, f"  a: {{command: sleep 60, {SMALL}}}\n"))
    made = create_run(plan, Profile(kind="local"), tmp_path / "runs")
    (made.folder / "scheduler" / "hold").mkdir(parents=True)
    return made


def row(number: int, **values: Any) -> dict[str, Any]:
    """A job that waits for more than there is."""
    return {
        "job_id": f"L-{number}",
        "name": f"a/n={number}",
        "exit": "/nowhere/exit.json",
        "script": "/nowhere",
        "log": "/nowhere",
        "cwd": "/",
        "token": str(number),
        "after": [],
        "state": "PENDING",
        "reason": "",
        "resources": {"gpus": 0, "cpus": 1, "memory_gb": 1, "minutes": 5},
        **values,
    }


def scheduler_with(run: Run, rows: list[dict[str, Any]]) -> Scheduler:
    """A scheduler with these jobs, on a machine that has nothing for them."""
    made = Scheduler(run)
    made.machine = Machine(cpus=0, memory_gb=0, gpus=())
    made.table = {one["token"]: one for one in rows}
    return made


def expected(row: dict[str, Any], by_id: dict[str, dict[str, Any]], held: set[str]) -> str:
    """What a job waits for, by looking at all others."""
    after = [by_id[one]["state"] for one in row["after"]]
    ended = [by_id[one]["state"] for one in row["ended"]]
    if any(state in FAILED for state in after):
        return "CANCELLED"
    if any(state not in OVER for state in [*after, *ended]):
        return "Dependency"
    return "held" if row["job_id"] in held else "Resources"


@pytest.mark.parametrize("seed", range(4))
def test_each_job_waits_for_what_a_look_at_all_of_them_says(run: Run, seed: int) -> None:
    chance = random.Random(seed)
    rows = []
    for number in range(30):
        before = [f"L-{one}" for one in range(number)]
        after = chance.sample(before, min(len(before), chance.choice([0, 0, 1, 3])))
        ended = chance.sample(before, min(len(before), chance.choice([0, 0, 2])))
        rows.append(row(number, after=after, ended=ended))
    scheduler = scheduler_with(run, rows)
    by_id = {one["job_id"]: one for one in rows}
    for _ in range(25):
        waiting = [one for one in rows if one["state"] in ("PENDING", "RUNNING")]
        for one in chance.sample(waiting, min(len(waiting), 2)):
            scheduler.set(one["token"], state=chance.choice(["RUNNING", *OVER, "COMPLETED"]))
        held = {f"L-{number}" for number in chance.sample(range(30), 3)}
        for file in (run.folder / "scheduler" / "hold").iterdir():
            file.unlink()
        for name in held:
            (run.folder / "scheduler" / "hold" / name).touch()
        scheduler.start_waiting()
        for one in rows:
            if one["state"] == "PENDING":
                assert one["reason"].startswith(expected(one, by_id, held)), one
        for one in rows:
            if one["reason"].startswith("needs"):
                assert any(by_id[other]["state"] in FAILED for other in one["after"])
        scheduler.written.write(scheduler.table)
        written = json.loads((run.folder / "scheduler" / "table.json").read_text())
        assert written == scheduler.table


def test_a_round_over_twice_the_jobs_is_twice_the_work(run: Run) -> None:
    work = []
    for count in (60, 60, 120):
        first = [row(number) for number in range(count)]
        behind = [row(count + n, after=[f"L-{n}"], ended=[]) for n in range(count)]
        last = [row(2 * count + n, after=[f"L-{one}" for one in range(20)]) for n in range(count)]
        scheduler = scheduler_with(run, [*first, *behind, *last])
        scheduler.start_waiting()
        assert {one["reason"].partition(":")[0] for one in behind} == {"Dependency"}
        work.append(lines_of(scheduler.round))
    assert work[2] <= 2 * ROOM * work[1]
