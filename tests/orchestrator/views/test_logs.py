"""A log is printed piece by piece, however large it is; a list of runs says how old it is."""

import os
import re
import subprocess
import time
from pathlib import Path

from msgspec.structs import replace

from orchestrator.description.profile import Profile
from orchestrator.runs.create import create_run
from orchestrator.runs.record import JobState
from orchestrator.views.logs import runs_table
from orchestrator.views.tables.drawing import Screen
from tests.support.builders import planned
from tests.support.cli import ORCH, SMALL, launch, the_run
from tests.support.screens import plain

LARGE_MB = 160


def test_a_log_that_is_larger_than_the_memory_is_printed(tmp_path: Path) -> None:
    result = launch(tmp_path, f"  a: {{command: 'echo the end', {SMALL}}}\n")
    assert result.returncode == 0, result.stderr
    log = the_run(tmp_path) / "jobs" / "a" / "attempt-1" / "log.txt"
    peaks = []
    for megabytes in (0, LARGE_MB):
        # A hole takes no room on the disk, and is read as so many letters.
        log.write_bytes(b"the begin\n")
        os.truncate(log, 20 + megabytes * 2**20)
        with log.open("ab") as file:
            file.write(b"\nthe end\n")
        with (tmp_path / "said").open("wb") as said:
            command = subprocess.Popen(
                [f"{ORCH} logs a | tail -c 20; exit ${{PIPESTATUS[0]}}"],
                cwd=tmp_path,
                env={**os.environ, "ORCH_RUNS": str(tmp_path / "runs")},
                stdout=said,
                shell=True,
                executable="/bin/bash",
            )
            _, status, used = os.wait4(command.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert (tmp_path / "said").read_bytes().endswith(b"\nthe end\n")
        peaks.append(used.ru_maxrss / 1024)
    assert peaks[1] < peaks[0] + 32, peaks


def test_a_list_tells_how_old_the_states_are_that_it_asks_nobody_about(tmp_path: Path) -> None:
    stages = {"a": {"command": "true"}, "b": {"command": "false"}}
    plan = planned({"experiment": "x", "stages": stages}, tmp_path)
    run = create_run(plan, Profile(kind="slurm"), tmp_path / "runs")
    first, second = run.load()
    now = time.time()

    def listed(state: JobState, seconds: float) -> str:
        run.save([replace(first, state=state, seen=now - seconds), second])
        return plain(runs_table(tmp_path / "runs", Screen(None, None)))

    assert re.search(r"1 queued, 1 waiting; seen 10:0\d ago", listed(JobState.PENDING, 600))
    assert "seen" not in listed(JobState.PENDING, 5)
    # What has ended stays so.
    assert "seen" not in listed(JobState.COMPLETED, 600)
