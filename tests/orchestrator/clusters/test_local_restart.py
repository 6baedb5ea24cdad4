"""The cluster local when its terminal goes away, when everything is killed, and when the machine is
restarted."""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.clusters.local.scheduler import RESTARTED
from orchestrator.clusters.local.table import read_table
from orchestrator.node.system import boot, lives, process_start, write_json
from tests.support.adopted import submitted_by_hand
from tests.support.cli import (
    ORCH,
    SMALL,
    Rows,
    describe,
    jobs,
    launch,
    orch,
    states,
    the_run,
    until,
)

TRAINS = """
saved=$ORCH_OUT/step
step=$(cat $saved 2>/dev/null || echo 0)
while [ $step -lt 25 ]; do
  step=$((step + 1)); echo $step >> steps; sleep 0.1; echo $step > $saved.new; mv $saved.new $saved
done
"""
"""A shell program that saves each of its steps, and goes on from the last one."""
TWO_STAGES = (
    f"  train: {{command: bash trains.sh, {SMALL}}}\n"
    f"  after: {{command: \"sh -c 'echo once >> after'\", after: [train], {SMALL}}}\n"
)


def prepare(folder: Path) -> Path:
    (folder / "trains.sh").write_text(TRAINS)
    return describe(folder, TWO_STAGES)


def wait_for_step(folder: Path, number: int) -> None:
    deadline = time.monotonic() + 60
    while not ((folder / "steps").exists() and number <= len(steps(folder))):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def steps(folder: Path) -> list[int]:
    return [int(word) for word in (folder / "steps").read_text().split()]


def assert_done_once(folder: Path) -> None:
    """Every step was made, none before the last saved one again, and what came after it once."""
    until(folder, lambda now: set(states(now).values()) == {"COMPLETED"})
    made = steps(folder)
    assert sorted(set(made)) == list(range(1, 26))
    # A kill between a step and its saving costs that step alone.
    assert len(made) <= 26
    assert (folder / "after").read_text() == "once\n"
    again = orch(folder, "launch", folder / "trial.yaml", "--cluster", "local", "--no-watch")
    assert "0 jobs submitted, 2 of 2 done before" in again.stdout


def test_a_run_goes_on_when_its_terminal_is_closed(tmp_path: Path) -> None:
    file = prepare(tmp_path)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        # Tests that nohup has started would hand on that it is ignored.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        own = {"ORCH_RUNS": str(tmp_path / "runs"), "TMPDIR": str(tmp_path), "TERM": "xterm"}
        os.execve(
            ORCH, [ORCH, "launch", str(file), "--cluster", "local", "--watch"], os.environ | own
        )
    while not (tmp_path / "steps").exists():
        if select.select([terminal], [], [], 0.2)[0]:
            os.read(terminal, 4096)
    os.close(terminal)  # the kernel sends SIGHUP to what runs in the terminal
    _, status = os.waitpid(pid, 0)
    # By SIGHUP, or by the error of writing to a terminal that is gone, whichever comes first.
    assert os.WTERMSIG(status) == signal.SIGHUP or os.WEXITSTATUS(status) != 0
    wait_for_step(tmp_path, len(steps(tmp_path)) + 3)
    assert_done_once(tmp_path)
    assert jobs(tmp_path)["train"]["attempt"] == 1


def test_one_launch_goes_on_after_scheduler_and_jobs_were_killed(tmp_path: Path) -> None:
    prepare(tmp_path)
    assert launch(tmp_path, TWO_STAGES, "--no-watch").returncode == 0
    wait_for_step(tmp_path, 4)
    killed = subprocess.run(
        ["pgrep", "-f", f"orchestrator.clusters.local {the_run(tmp_path).resolve()}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    claim = json.loads((the_run(tmp_path) / "jobs/train/attempt-1/claim.json").read_text())
    for pid in [*map(int, killed), claim["pid"]]:
        os.kill(pid, signal.SIGKILL)
    # The first look finds out, and is the one that submits: no second launch is necessary.
    again = orch(tmp_path, "launch", tmp_path / "trial.yaml", "--cluster", "local", "--no-watch")
    assert "2 jobs submitted, 0 of 2 done before" in again.stdout, again.stdout + again.stderr
    assert_done_once(tmp_path)


bubblewrap = pytest.mark.skipif(
    shutil.which("bwrap") is None and os.environ.get("CI") != "true",
    reason="bubblewrap makes the machine that is restarted",
)


class Machine:
    """A start of a machine: its processes are its own, counted from 1, and it has a boot id.
    ``power_off`` kills all of them at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        boot_id = folder / "boot_id"
        boot_id.write_text(f"{uuid.uuid4()}\n")
        words = ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--proc", "/proc"]
        words += ["--ro-bind", str(boot_id), "/proc/sys/kernel/random/boot_id", "--die-with-parent"]
        variables = {"ORCH_RUNS": str(folder / "runs"), "TMPDIR": str(folder), "COLUMNS": "250"}
        self.shell = subprocess.Popen(
            [*words, "bash"],
            cwd=folder,
            env=os.environ | variables,
            stdin=subprocess.PIPE,
            text=True,
        )

    def orch(self, *arguments: str) -> str:
        """What a command of `orch` prints there."""
        said, ended = self.folder / "said", self.folder / "ended"
        assert self.shell.stdin is not None
        self.shell.stdin.write(f"{ORCH} {' '.join(arguments)} > {said} 2>> errors; touch {ended}\n")
        self.shell.stdin.flush()
        while not ended.exists():
            assert self.shell.poll() is None
            time.sleep(0.02)
        ended.unlink()
        return said.read_text()

    def jobs(self) -> Rows:
        """What a status says there of each job."""
        return {job["job"]: job for job in json.loads(self.orch("status", "--json"))["jobs"]}

    def power_off(self) -> None:
        """Kill everything at once."""
        self.shell.kill()  # the first process there dies with it, and takes all others along
        self.shell.communicate()
        while subprocess.run(["pgrep", "-f", f"{self.folder}/runs"], stdout=-3).returncode == 0:
            time.sleep(0.02)


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Callable[[], Machine]]:
    """Start the machine."""
    started: list[Machine] = []

    def start() -> Machine:
        started.append(Machine(tmp_path))
        return started[-1]

    yield start
    for one in started:
        one.power_off()


@bubblewrap
def test_a_restarted_machine_says_so_and_one_launch_goes_on(
    tmp_path: Path, on: Callable[[], Machine]
) -> None:
    prepare(tmp_path)
    launch_it = ("launch", "trial.yaml", "--cluster", "local", "--no-watch")
    first = on()
    assert "2 jobs submitted" in first.orch(*launch_it)
    wait_for_step(tmp_path, 4)
    first.power_off()
    ended_by = time.time()
    time.sleep(2.0)  # the time that a machine is off is not the job's

    second = on()
    found = second.jobs()
    assert states(found) == {"train": "NODE_FAIL", "after": "CANCELLED"}
    assert RESTARTED in found["train"]["reason"]
    assert "orch retry" in found["train"]["reason"]
    assert found["train"]["ended"] <= ended_by
    saved = len(steps(tmp_path))
    assert "2 jobs submitted, 0 of 2 done before" in second.orch(*launch_it)
    assert "0 jobs submitted" in second.orch(*launch_it)
    deadline = time.monotonic() + 60
    while set(states(found := second.jobs()).values()) != {"COMPLETED"}:
        assert time.monotonic() < deadline, found
    assert found["train"]["attempt"] == 2
    made = steps(tmp_path)
    assert saved < len(made) <= 26
    assert sorted(set(made)) == list(range(1, 26))
    assert (tmp_path / "after").read_text() == "once\n"


@bubblewrap
def test_what_waited_goes_on_after_a_restart(tmp_path: Path, on: Callable[[], Machine]) -> None:
    cpus = len(os.sched_getaffinity(0))
    whole = f"resources: {{cpus: {cpus}, memory_gb: 1, minutes: 5}}"
    stages = (
        f"  long: {{command: sleep 60, {whole}}}\n"
        f"  waits: {{command: \"sh -c 'echo once >> waited'\", {SMALL}}}\n"
    )
    describe(tmp_path, stages)
    first = on()
    first.orch("launch", "trial.yaml", "--cluster", "local", "--no-watch")
    while states(first.jobs()) != {"long": "RUNNING", "waits": "PENDING"}:
        time.sleep(0.1)
    first.power_off()
    second = on()
    # The slots of processes that died with the machine are free.
    while states(found := second.jobs()) != {"long": "NODE_FAIL", "waits": "COMPLETED"}:
        assert found["waits"]["state"] != "FAILED"
        time.sleep(0.1)
    assert (tmp_path / "waited").read_text() == "once\n"


OTHER_BOOT = "00000000-0000-0000-0000-000000000000/1"


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_process_with_the_id_of_ours_before_the_restart_is_let_alone(
    tmp_path: Path, cancelled: bool
) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        start = process_start(stranger.pid)
        assert start is not None
        # Its id and its ticks since boot are those of our job, which ran before the restart.
        ours = {"pid": stranger.pid, "start": f"{start.partition('@')[0]}@{OTHER_BOOT}"}
        assert not lives(ours)
        scheduler = submitted_by_hand(tmp_path, ours)
        if cancelled:
            (scheduler.folder / "cancel" / "L-t").touch()
        scheduler.round()
        row = read_table(scheduler.run)["t"]
        assert row["state"] == ("CANCELLED" if cancelled else "NODE_FAIL")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize(
    ("signals", "start", "state"),
    [
        (["SIGTERM"], OTHER_BOOT, "NODE_FAIL"),  # the machine went down in an orderly way
        ([], OTHER_BOOT, "FAILED"),  # it had failed by itself before
        (["SIGTERM"], boot(), "FAILED"),
    ],
)
def test_an_exit_record_from_before_the_restart(
    tmp_path: Path, signals: list[str], start: str, state: str
) -> None:
    scheduler = submitted_by_hand(tmp_path, {"pid": 2**22 + 1, "start": f"7@{start}"})
    attempt = scheduler.run.folder / "jobs/a/attempt-1"
    ended = time.time() - 50
    record = {
        "token": "t",
        "job_id": "L-t",
        "host": "here",
        "pid": 7,
        "exit_code": 75,
        "started": ended - 1,
        "ended": ended,
        "results": False,
        "signals": signals,
    }
    write_json(attempt / "claim.json", {"restart": 0, "pid": 7, "start": f"7@{start}"})
    write_json(attempt / "exit.json", record)
    scheduler.round()
    assert read_table(scheduler.run)["t"]["state"] == state


def test_a_process_that_an_older_version_noted_is_known_by_its_ticks() -> None:
    start = process_start(os.getpid())
    assert start is not None
    assert lives({"pid": os.getpid(), "start": start})
    assert lives({"pid": os.getpid(), "start": start.partition("@")[0]})
    assert not lives({"pid": os.getpid(), "start": "7"})
    assert not lives({"pid": 2**22 + 1, "start": None})
