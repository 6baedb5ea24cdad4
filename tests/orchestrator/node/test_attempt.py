"""The program on the node: one claim, signals passed on and waited for, an exit record that names
the cause."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.node import attempt as node_program
from orchestrator.node.system import process_start
from tests.support.node import SECONDS, TOKEN, attempt_node, first_exit_record, job_folder
from tests.support.paths import wait_for

pytestmark = pytest.mark.usefixtures("each_program")


def test_of_eight_processes_with_one_attempt_exactly_one_runs_it(tmp_path: Path) -> None:
    path = job_folder(tmp_path, ["sh", "-c", "echo ran >> ran; sleep 2"])
    racers = [attempt_node(path, f"job-{number}") for number in range(8)]
    assert [racer.wait(timeout=SECONDS) for racer in racers] == [0] * 8
    assert (tmp_path / "ran").read_text() == "ran\n"
    assert first_exit_record(path)["results"]
    assert (
        first_exit_record(path)["job_id"]
        == json.loads((path / "attempt-1" / "claim.json").read_text())["job_id"]
    )
    assert (path / "attempt-1" / "log.txt").read_text().count("ends without work") == 7
    assert not list((path / "attempt-1").glob(".*"))


def test_a_second_process_under_the_same_id_leaves_the_work_to_the_first(tmp_path: Path) -> None:
    path = job_folder(tmp_path, ["sh", "-c", "echo ran >> ran; sleep 2"])
    first = attempt_node(path, "7")
    wait_for(tmp_path / "ran")
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 0
    assert first.wait(timeout=SECONDS) == 0
    assert (tmp_path / "ran").read_text() == "ran\n"


def test_a_requeued_job_continues_under_its_own_claim(tmp_path: Path) -> None:
    path = job_folder(
        tmp_path, ["sh", "-c", "echo ran >> ran; touch told; test -e again || sleep 60"]
    )
    first = attempt_node(path, "7")
    # The file with its line: a shell that is killed between the two has written nothing.
    wait_for(tmp_path / "told")
    first.kill()
    first.wait(timeout=SECONDS)
    (tmp_path / "again").touch()
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 0
    assert first_exit_record(path)["restart"] == 1
    assert (tmp_path / "ran").read_text() == "ran\nran\n"


def test_a_killed_node_takes_its_child_with_it(tmp_path: Path) -> None:
    path = job_folder(tmp_path, ["sh", "-c", "echo $$ > part && mv part pid; exec sleep 60"])
    process = attempt_node(path, "7")
    wait_for(tmp_path / "pid")
    child = Path("/proc") / (tmp_path / "pid").read_text().strip() / "stat"
    process.kill()
    process.wait(timeout=SECONDS)
    deadline = time.monotonic() + SECONDS
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] not in ("Z", "X"):
        assert time.monotonic() < deadline, "the child outlives its node process"
        time.sleep(0.02)


def test_sigusr2_is_passed_on_and_the_end_is_waited_for(tmp_path: Path) -> None:
    path = job_folder(
        tmp_path,
        [
            "bash",
            "-c",
            "trap 'sleep 1; echo saved > saved; exit 1' USR2; touch ready; while :; do "
            "sleep 0.1; done",
        ],
    )
    process = attempt_node(path, "7")
    wait_for(tmp_path / "ready")
    process.send_signal(signal.SIGUSR2)
    assert process.wait(timeout=SECONDS) == 1
    assert (tmp_path / "saved").exists()
    assert first_exit_record(path)["signals"] == ["SIGUSR2"]
    assert not first_exit_record(path)["results"]


def test_a_program_without_a_handler_does_not_die_of_the_warning(tmp_path: Path) -> None:
    path = job_folder(tmp_path, ["sh", "-c", "touch ready; sleep 2"])
    process = attempt_node(path, "7")
    wait_for(tmp_path / "ready")
    process.send_signal(signal.SIGUSR2)
    assert process.wait(timeout=SECONDS) == 0
    assert (first_exit_record(path)["signals"], first_exit_record(path)["results"]) == (
        ["SIGUSR2"],
        True,
    )


def test_sigterm_ends_a_command_that_does_not_handle_it(tmp_path: Path) -> None:
    path = job_folder(tmp_path, ["sh", "-c", "touch ready; sleep 60"])
    process = attempt_node(path, "7")
    wait_for(tmp_path / "ready")
    process.terminate()
    assert process.wait(timeout=SECONDS) == 1
    assert (first_exit_record(path)["exit_code"], first_exit_record(path)["signals"]) == (
        -signal.SIGTERM,
        ["SIGTERM"],
    )


def test_the_exit_record_holds_the_exception_and_not_the_last_line(tmp_path: Path) -> None:
    code = (
        "import atexit; atexit.register(lambda: print('bye')); raise RuntimeError('disk "
        "quota exceeded on /scratch')"
    )
    path = job_folder(tmp_path, [sys.executable, "-c", code])
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 1
    assert first_exit_record(path)["reason"] == "RuntimeError: disk quota exceeded on /scratch"
    assert first_exit_record(path)["exit_code"] == 1


def test_a_script_imports_the_modules_that_lie_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # as every job script and the local scheduler do
    (tmp_path / "helpers.py").write_text("VALUE = 7\n")
    (tmp_path / "train.py").write_text("import helpers\nprint('value', helpers.VALUE)\n")
    path = job_folder(tmp_path, [sys.executable, "train.py"])
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 0
    assert "value 7" in (path / "attempt-1" / "log.txt").read_text()


@pytest.mark.parametrize(("given", "is_kept"), [(None, True), ("", False)])
def test_what_a_script_printed_before_it_was_killed_is_in_its_log(
    given: str | None, is_kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    if given is not None:
        monkeypatch.setenv("PYTHONUNBUFFERED", given)
    code = "import os; print('step 7'); os.kill(os.getpid(), 9)"
    path = job_folder(tmp_path, [sys.executable, "-c", code])
    attempt_node(path, "7").wait(timeout=SECONDS)
    assert ("step 7\n" in (path / "attempt-1" / "log.txt").read_text()) is is_kept


def test_a_job_whose_input_is_absent_does_not_start(tmp_path: Path) -> None:
    path = job_folder(tmp_path, ["touch", "ran"], needs={"train": str(tmp_path / "jobs" / "train")})
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 1
    assert not (tmp_path / "ran").exists()
    assert first_exit_record(path)["reason"] == "needs the results of train, which are not there"


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = job_folder(tmp_path, ["no-such-program"])
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 127
    assert first_exit_record(path)["reason"].startswith("cannot start no-such-program")


def test_results_that_are_there_are_not_computed_again(tmp_path: Path) -> None:
    path = job_folder(tmp_path, ["touch", "ran"])
    (path / "out").mkdir()
    (path / "out" / "results.json").write_text("{}")
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 0
    assert not (tmp_path / "ran").exists()


def test_what_a_program_leaves_running_ends_with_it(tmp_path: Path) -> None:
    path = job_folder(tmp_path, ["sh", "-c", "sleep 60 & echo $! > left; exit 3"])
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 3
    assert process_start(int((tmp_path / "left").read_text())) is None


def test_each_attempt_has_a_temporary_folder_that_goes_with_it(tmp_path: Path) -> None:
    path = job_folder(tmp_path, ["sh", "-c", "touch $TMPDIR/scratch; echo $TMPDIR > where"])
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 0
    assert not Path((tmp_path / "where").read_text().strip()).exists()


def test_a_signal_for_a_program_that_has_just_been_waited_for_is_not_an_error(
    tmp_path: Path,
) -> None:
    """The handler runs between the system's word that it has ended and Python's note of it: Popen's
    lock is held, poll cannot tell."""
    attempt = node_program.Attempt(str(job_folder(tmp_path, ["true"])), 1, TOKEN)
    child = subprocess.Popen(["true"], start_new_session=True)
    with child._waitpid_lock:  # type: ignore[attr-defined]
        os.waitpid(child.pid, 0)
        assert child.poll() is None
        for number in (signal.SIGTERM, signal.SIGUSR2):
            attempt.send(child, number)
    child.wait()
