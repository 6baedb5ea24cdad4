"""On the node: one claim, signals passed on and waited for, an exit record whatever happens."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TOKEN = "0123456789"


def prepare(folder: Path, *command: str, needs: dict[str, str] | None = None) -> Path:
    job = folder / "jobs" / "a"
    (job / "attempt-1").mkdir(parents=True)
    (job / "job.json").write_text(json.dumps({"name": "a", "engine": None, "command": command, "needs": needs or {}, "cwd": str(folder)}))
    (job / "config.json").write_text("{}")
    return job


def start(job: Path, job_id: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "ORCH_JOB_ID": job_id}
    environment.pop("SLURM_JOB_ID", None)
    with (job / "attempt-1" / "log.txt").open("ab") as log:
        return subprocess.Popen([sys.executable, "-P", "-u", "-m", "orchestrator.node", str(job), "1", TOKEN], stdout=log, stderr=log,
                                env=environment)


def left(job: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((job / "attempt-1" / "exit.json").read_text())
    return document


def test_of_eight_that_race_for_one_claim_one_runs(tmp_path: Path) -> None:
    job = prepare(tmp_path, "sh", "-c", "echo ran >> ran; sleep 1")
    processes = [start(job, f"id-{number}") for number in range(8)]
    assert [process.wait() for process in processes] == [0] * 8
    assert (tmp_path / "ran").read_text() == "ran\n"
    assert left(job)["results"]


def test_a_requeued_job_goes_on_with_its_claim(tmp_path: Path) -> None:
    job = prepare(tmp_path, "sh", "-c", "echo ran >> ran; exit 3")
    assert start(job, "7").wait() == 3
    assert start(job, "7").wait() == 3
    assert left(job)["restart"] == 1


def test_a_signal_reaches_the_command_and_is_waited_for(tmp_path: Path) -> None:
    job = prepare(tmp_path, sys.executable, "-c",
                  "import signal, sys, time\n"
                  "signal.signal(signal.SIGUSR2, lambda *_: (time.sleep(0.5), print('saved', flush=True), sys.exit(75)))\n"
                  "print('ready', flush=True)\ntime.sleep(30)")
    process = start(job, "7")
    log = job / "attempt-1" / "log.txt"
    while "ready" not in log.read_text():
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR2)
    assert process.wait() == 75
    assert "saved" in log.read_text()
    assert (left(job)["signals"], left(job)["exit_code"], left(job)["results"]) == (["SIGUSR2"], 75, False)


def test_the_exit_record_names_the_line_that_says_why(tmp_path: Path) -> None:
    job = prepare(tmp_path, sys.executable, "-c", "print('step 1'); raise FileNotFoundError('no weights at /models/x')")
    assert start(job, "7").wait() == 1
    assert left(job)["reason"] == "FileNotFoundError: no weights at /models/x"


def test_a_command_that_is_not_there_leaves_a_record_too(tmp_path: Path) -> None:
    job = prepare(tmp_path, "no-such-program")
    assert start(job, "7").wait() == 127
    assert "cannot start no-such-program" in left(job)["reason"]


def test_results_of_a_parent_that_are_missing_stop_the_job(tmp_path: Path) -> None:
    job = prepare(tmp_path, "sh", "-c", "echo ran >> ran", needs={"train": str(tmp_path / "jobs" / "train")})
    assert start(job, "7").wait() == 1
    assert left(job)["reason"] == "needs the results of train, which are not there"
    assert not (tmp_path / "ran").exists()


def test_an_engine_dies_with_its_node_process(tmp_path: Path) -> None:
    job = prepare(tmp_path, "sh", "-c", "echo $$ > pid; exec sleep 60")
    process = start(job, "7")
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        time.sleep(0.05)
    process.kill()
    process.wait()
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}/stat").exists() and ") Z " not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
