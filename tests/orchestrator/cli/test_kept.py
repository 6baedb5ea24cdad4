"""A look at a run that is over is printed again as it was, until anything that it hangs on changes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cli import kept
from tests.support.cli import launch, orch, the_run

Answer = Callable[[], str | None]
HOUR = 3600.0


def make_old(folder: Path) -> None:
    """As if everything in a folder, and the folder, had been written an hour ago."""
    for path in [*folder.rglob("*"), folder]:
        known = path.lstat()
        times = (known.st_atime - HOUR, known.st_mtime - HOUR)
        os.utime(path, times, follow_symlinks=False)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> str:
    monkeypatch.setenv("ORCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["orch", "status", "x"])
    monkeypatch.chdir(tmp_path)
    return kept.question()


@pytest.fixture
def answer(asked: str, capsys) -> Callable[[], str | None]:
    """What is printed in place of a look; None: nothing."""

    def printed() -> str | None:
        capsys.readouterr()
        return capsys.readouterr().out if kept.answered() else None

    return printed


CHANGES: dict[str, Callable[[Path], object]] = {
    "written anew": lambda path: path.write_text("other"),
    "longer": lambda path: path.open("a").write("more"),
    "replaced by the same": lambda path: Path(shutil.copy2(path, f"{path}.2")).replace(path),
    "gone": lambda path: path.unlink(),
    "touched": lambda path: path.touch(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_kept_holds_until_a_file_changes(
    change: str, asked: str, answer: Answer, tmp_path: Path
) -> None:
    source, missing = tmp_path / "state.json", tmp_path / "copy.json"
    source.write_text("content")
    kept.keep(asked, [str(source), str(missing)], time.time() + HOUR, "a table ✓\r\n\n\nlast\n")
    assert answer() == "a table ✓\r\n\n\nlast\n"
    CHANGES[change](source)
    assert answer() is None


def test_a_file_that_appears_ends_it_and_so_does_anything_else_that_was_typed_or_set(
    asked: str, answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "copy.json"
    kept.keep(asked, [str(missing)], time.time() + HOUR, "text")
    assert answer() == "text"
    for name, value in (("COLUMNS", "61"), ("NO_COLOR", "1"), ("ORCH_RUNS", "elsewhere")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(name, value)
            assert answer() is None
    monkeypatch.setattr(sys, "argv", ["orch", "status", "x", "--all"])
    assert answer() is None
    monkeypatch.setattr(sys, "argv", ["orch", "status", "x"])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert answer() is None
    monkeypatch.chdir(tmp_path)
    assert answer() == "text"
    missing.touch()
    assert answer() is None


def test_nothing_is_kept_of_a_file_that_has_only_just_changed(
    asked: str, answer: Answer, tmp_path: Path
) -> None:
    (tmp_path / "state.json").write_text("content")
    kept.keep(asked, [str(tmp_path / "state.json")], time.time(), "text")
    assert answer() is None


def test_old_answers_go_and_a_damaged_one_is_none(
    asked: str, answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MOST_KEPT", 3)
    for number in range(5):
        monkeypatch.setattr(sys, "argv", ["orch", "status", str(number)])
        kept.keep(kept.question(), [], time.time() + HOUR, f"text {number}")
    assert answer() == "text 4"
    files = list((tmp_path / "cache" / kept.FOLDER).iterdir())
    assert len(files) == 3
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    for path in files:
        path.write_bytes(b"\xff\xfe\n\n")
    assert answer() is None


LOADED = (
    "import sys; before = set(sys.modules)\n"
    "from orchestrator.cli.__main__ import main\n"
    "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
    "print(*sorted(set(sys.modules) - before))"
)
PRINTS = {"__future__", "gc", "orchestrator", "orchestrator.cli", "orchestrator.cli.__main__"}
PRINTS |= {"orchestrator.cli.kept", "orchestrator.errors", "orchestrator.folders"}
"""All that a look which was kept loads."""
NOT_TO_LOOK = {
    *("orchestrator.lifecycle.sending.batches", "orchestrator.lifecycle.reused.taking"),
    *(
        "orchestrator.runs.reuse.basis",
        "orchestrator.runs.reuse.bring",
        "orchestrator.runs.attempts",
    ),
    *(
        "orchestrator.lifecycle.notifications",
        "orchestrator.planning.planner",
        "concurrent.futures",
    ),
    *(
        "orchestrator.description.profile_reader",
        "orchestrator.checks.launch",
        "textual",
        "rich.live",
    ),
    *("pydantic", "yaml", "urllib.request", "ssl", "numpy", "submitit", "socket", "argparse"),
}
"""What no look loads: what submits, takes from other runs, tells, plans or checks."""


def test_a_look_loads_what_it_prints_with_and_the_next_one_nothing(tmp_path: Path) -> None:
    """By names, not by time: what `orch status` of a run that is over imports."""
    assert (
        launch(tmp_path, "  a: {command: 'true'}\n  b: {command: 'true', after: [a]}\n").returncode
        == 0
    )
    run = the_run(tmp_path)
    environment = {
        **os.environ,
        "ORCH_RUNS": str(tmp_path / "runs"),
        "ORCH_CACHE": str(tmp_path / "kept"),
        "COLUMNS": "100",
    }

    def look() -> tuple[str, set[str]]:
        done = subprocess.run(
            [sys.executable, "-c", LOADED, "status"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        table, _, modules = done.stdout.rstrip("\n").rpartition("\n")
        return table, set(modules.split())

    make_old(tmp_path / "runs")
    first, loaded = look()
    assert "2 done" in first
    assert loaded & NOT_TO_LOOK == set()
    again, loaded = look()
    assert (again, loaded - PRINTS) == (first, set())
    # A result that is taken away by hand is seen, and by `--rescan` everything is looked at anew.
    (run / "jobs").glob("*/out/results.json").__next__().unlink()
    assert look()[1] - PRINTS
    assert (
        orch(tmp_path, "status", "--rescan", ORCH_CACHE=environment["ORCH_CACHE"]).returncode == 0
    )
