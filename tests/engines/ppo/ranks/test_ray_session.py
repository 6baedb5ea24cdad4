"""A private Ray: two at once on one machine, and nothing left of one that was killed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

DRIVER = """
import os, sys, time
from engines.contract.program import Stop
from engines.ppo.watchdogs import Patience
from engines.ppo.ranks.ray_session import Actors, ray_session

class Remembers:
    def __init__(self, name): self.name = name
    def answer(self): return f"{self.name} {os.getpid()}"

if __name__ == "__main__":
    with ray_session(1, 0, Stop()):
        actor = Actors(Remembers, [(sys.argv[1],)], cpus=1, gpus=0, patience=Patience(60.0))
        print(actor.call("answer"), flush=True)
        sys.stdin.readline()
        print(actor.call("answer"), flush=True)
"""


def start(folder: Path, name: str) -> subprocess.Popen[str]:
    (folder / "driver.py").write_text(DRIVER)
    # A Ray of somebody else that must not be joined.
    environment = {
        **os.environ,
        "TEST_RAY_OF": f"{folder.name}-{name}",
        "RAY_ADDRESS": "127.0.0.1:1",
    }
    return subprocess.Popen(
        [sys.executable, str(folder / "driver.py"), name],
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    while not (line := process.stdout.readline()).startswith(("one", "two")):
        assert line, "the driver ended without an answer"
    return line.strip()


def processes_of(mark: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"TEST_RAY_OF={mark}\0".encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.engine
@pytest.mark.timeout(240)
def test_two_run_side_by_side_and_a_killed_one_leaves_no_process_and_its_folder_goes(
    tmp_path: Path,
) -> None:
    one, two = start(tmp_path, "one"), start(tmp_path, "two")
    answers = [line_of(one), line_of(two)]
    assert [answer.split()[0] for answer in answers] == ["one", "two"]
    folders = {
        process: list(Path(tempfile.gettempdir()).glob(f"r{process.pid}-*"))
        for process in (one, two)
    }
    assert [len(found) for found in folders.values()] == [1, 1]
    os.kill(one.pid, signal.SIGKILL)
    one.wait()
    deadline = time.monotonic() + 90
    while left := processes_of(f"{tmp_path.name}-one"):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    assert two.stdin is not None
    two.stdin.write("\n")
    two.stdin.flush()
    assert line_of(two) == answers[1], "the other Ray's actor is not the one it was"
    assert two.wait(timeout=60) == 0
    assert not folders[two][0].exists()
    third = start(tmp_path, "two")
    line_of(third)
    assert not folders[one][0].exists(), "the folder of the killed one is still there"
    assert third.stdin is not None
    third.stdin.write("\n")
    third.stdin.flush()
    assert third.wait(timeout=60) == 0
