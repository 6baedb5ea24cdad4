"""Another process that has a lock."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HOLDS = """import fcntl, sys, time
file = open(sys.argv[1], sys.argv[2])
fcntl.lockf(file, fcntl.LOCK_SH if sys.argv[2] == "r" else fcntl.LOCK_EX)
print("has it", flush=True)
time.sleep(60)
"""


@contextlib.contextmanager
def held(path: Path, how: str = "a") -> Iterator[int]:
    """Another process has the lock."""
    command = [sys.executable, "-c", HOLDS, str(path), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "has it\n"
        yield other.pid
        other.kill()
