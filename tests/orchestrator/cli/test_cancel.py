"""`orch cancel` on a terminal asks before it ends a run that nobody has named."""

import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.cli import ORCH, SMALL, jobs, launch, over, until


def answered(folder: Path, answer: str, *words: str) -> tuple[int, str]:
    """The exit code and the screen of `orch cancel` on a terminal where a person answers."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [ORCH, "cancel", *words], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs
    ) as asked:
        os.close(theirs)
        screen, deadline = "", time.monotonic() + 120
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                screen += os.read(ours, 4096).decode()
            except OSError:  # the other end has gone
                break
            if screen.rstrip().endswith("]:") and answer:
                os.write(ours, answer.encode())
                answer = ""
        os.close(ours)
        return asked.wait(60), screen


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a run goes on until it is cancelled."""
    monkeypatch.setenv("ORCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("COLUMNS", "250")
    assert (
        launch(tmp_path, f"  a: {{command: sleep 600, {SMALL}}}\n", watch="--json").returncode == 0
    )
    return tmp_path


def test_without_a_word_it_asks_and_who_names_the_run_is_not_asked(folder: Path) -> None:
    code, screen = answered(folder, "n\n")
    assert code == 1
    assert "cancel all of trial/" in screen
    assert "(1 that run or wait)? [y/N]:" in screen
    assert jobs(folder)["a"]["state"] in ("PENDING", "RUNNING")
    code, screen = answered(folder, "", "trial")
    assert (code, "cancelled a" in screen) == (0, True)
    assert "[y/N]" not in screen
    # Nothing is left that it could ask about.
    until(folder, over)
    code, screen = answered(folder, "")
    assert (code, "nothing is active" in screen) == (0, True)


@pytest.mark.parametrize("how", ["yes", "answer"])
def test_a_yes_ends_it(folder: Path, how: str) -> None:
    code, screen = answered(folder, "y\n", *(["--yes"] if how == "yes" else []))
    assert (code, "cancelled a" in screen) == (0, True)
    assert ("[y/N]" in screen) == (how == "answer")
