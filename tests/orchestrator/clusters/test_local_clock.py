"""A clock that jumps by days, as when a virtual machine is restored, ends no job and no limit."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.clusters.local.scheduler import KILL_SECONDS, Scheduler
from orchestrator.clusters.local.table import began, read_table
from orchestrator.node.system import process_start
from tests.support.adopted import submitted_by_hand

DAYS = 10 * 86400.0
SAYS = """import signal, sys, time
for number in (signal.SIGTERM, signal.SIGUSR2):
    signal.signal(number, lambda number, frame: print(signal.Signals(number).name, flush=True))
print("ready", flush=True)
while True:
    time.sleep(1)
"""


@pytest.fixture
def running() -> Iterator["subprocess.Popen[str]"]:
    """A job that says which signals it gets."""
    command = [sys.executable, "-S", "-c", SAYS]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "ready\n"
        yield job
        job.kill()


def adopted(folder: Path, job: "subprocess.Popen[str]", **row: object) -> Scheduler:
    """A scheduler that has the job in its table."""
    return submitted_by_hand(folder, {"pid": job.pid, "start": process_start(job.pid), **row})


@pytest.mark.parametrize("jump", [-DAYS, DAYS])
@pytest.mark.parametrize("noted", ["began", "start of its process"])
def test_a_clock_that_jumps_is_no_time_of_the_job(
    jump: float,
    noted: str,
    tmp_path: Path,
    running: "subprocess.Popen[str]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = {"began": time.monotonic()} if noted == "began" else {}
    scheduler = adopted(tmp_path, running, **row)
    wall, steady, since_boot = time.time, time.monotonic, time.clock_gettime
    monkeypatch.setattr(time, "time", lambda: wall() + jump)

    def later(seconds: float) -> None:
        monkeypatch.setattr(time, "monotonic", lambda: steady() + seconds)
        monkeypatch.setattr(time, "clock_gettime", lambda which: since_boot(which) + seconds)

    scheduler.round()
    row = read_table(scheduler.run)["t"]
    assert (row["state"], row.get("warned"), row.get("ending")) == ("RUNNING", None, None)
    # Its 5 minutes hold whatever the clock on the wall says: a warning, the end, the kill.
    for seconds, signal_name, ending in (
        (4 * 60, "SIGUSR2", None),
        (5 * 60 + 1, "SIGTERM", "TIMEOUT"),
    ):
        later(seconds)
        scheduler.round()
        assert running.stdout is not None
        assert running.stdout.readline() == f"{signal_name}\n"
        assert scheduler.table["t"].get("ending") == ending
    scheduler.round()
    assert running.poll() is None
    later(5 * 60 + 2 + KILL_SECONDS)
    scheduler.round()
    assert running.wait(10) == -9
    scheduler.round()
    assert read_table(scheduler.run)["t"]["state"] == "TIMEOUT"


def test_the_start_of_a_process_tells_when_a_job_began(running: "subprocess.Popen[str]") -> None:
    row = {"start": process_start(running.pid)}
    assert 0 <= time.monotonic() - began(row) < 60
    first = began(row)
    time.sleep(0.1)
    assert began(row) == pytest.approx(first, abs=0.05)
    # Nothing that can be read: it begins now.
    assert began({"start": "torn", "began": "x"}) == pytest.approx(time.monotonic(), abs=1)
