"""What the tests of this folder share."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test works in a folder of its own, as a user stands in one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCH_RUNS", str(tmp_path / "runs"))
