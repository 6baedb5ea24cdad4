"""What a job has used, with what it left running."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.node import attempt_node, first_exit_record, job_folder
from tests.support.paths import ROOT

# It ends at once; its child has used half a second and 64 MB by then, and runs on.
LEAVES = """
import os, sys, time
if os.fork() == 0:
    block = bytearray(64 << 20)
    while time.process_time() < 0.5:
        pass
    open(sys.argv[1], "w").close()
    time.sleep(600)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
os._exit(0)
"""
# The same, in a session of its own, with a child that is in another one.
LEAVES_SESSIONS = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        while time.process_time() < 0.5:
            pass
        open("ready", "w").write(f"{os.getppid()} {os.getpid()}")
    time.sleep(600)
while not os.path.exists("ready") or not open("ready").read():
    time.sleep(0.01)
os._exit(0)
"""
MEASURES = """
import json, subprocess, sys
from orchestrator.node.system import adopt_orphans, end_session
from orchestrator.node.usage import usage
adopt_orphans()
child = subprocess.Popen([sys.executable, "-c", *sys.argv[1:]], start_new_session=True)
child.wait()
end_session(child.pid)
print(json.dumps(usage([], alone=False)))
"""


def test_what_is_killed_at_the_end_of_a_job_counts_as_used(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURES, LEAVES, str(tmp_path / "ready")],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=60,
    )
    used = json.loads(done.stdout)
    assert used["cpu_seconds"] >= 0.5
    assert used["memory_gb"] >= 64 / 1024


@pytest.mark.usefixtures("each_program")
def test_what_a_job_leaves_in_sessions_of_its_own_is_ended_and_counts(tmp_path: Path) -> None:
    path = job_folder(tmp_path, [sys.executable, "-c", LEAVES_SESSIONS])
    assert attempt_node(path, "L-1").wait(timeout=60) == 0
    record = first_exit_record(path)
    assert record["results"]
    assert record["usage"]["cpu_seconds"] >= 0.5
    for pid in (tmp_path / "ready").read_text().split():
        assert not Path(f"/proc/{pid}").exists()
