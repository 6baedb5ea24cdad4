"""What a job has used, with what it left running."""

import json
import subprocess
import sys
from pathlib import Path

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
