"""A log is printed piece by piece, however large it is."""

import os
import subprocess
from pathlib import Path

from tests.support.cli import ORCH, SMALL, launch, the_run

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
