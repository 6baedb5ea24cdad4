"""Where things lie, and waiting for a file."""

from __future__ import annotations

import os
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder of pyproject.toml."""

DATA = Path(os.environ.get("ORCH_TEST_DATA", ROOT.parent / "shared" / "data"))
"""Real benchmark files. Tests that read them are skipped where they are not there."""


def wait_for(path: Path, seconds: float = 240) -> None:
    """Until another process has made a file or folder."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not appear"
        time.sleep(0.02)


def lines(path: Path) -> int:
    """How many lines a file has; a file that is not there has none."""
    return len(path.read_text().splitlines()) if path.exists() else 0
