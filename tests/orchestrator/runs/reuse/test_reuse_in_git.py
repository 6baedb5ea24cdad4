"""In a git repository, and with a snapshot of it, what has run with the same files is taken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.cli import SMALL, orch

TRAIN = """
import pathlib, sys, orch
# A snapshot is another working folder: what has run is counted outside of it.
with open(sys.argv[2], "a") as file:
    file.write(f"{sys.argv[1]}\\n")
orch.result("accuracy", float(sys.argv[1]), n=4)
"""


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def launched(folder: Path, rates: str, snapshot: str) -> list[str]:
    """Launch these rates in a run of their own; the rates that ran."""
    counted = folder.parent / "ran.txt"
    counted.unlink(missing_ok=True)
    (folder / "sweep.yaml").write_text(
        f"experiment: sweep\nabout: a sweep\nsnapshot: {snapshot}\nstages:\n"
        f'  train: {{command: "{sys.executable} train.py {{lr}} {counted}", '
        f"matrix: {{lr: [{rates}]}}, metrics: {{accuracy: {{better: higher}}}}, {SMALL}}}\n"
    )
    said = orch(folder, "launch", "sweep.yaml", "--cluster", "local", "--watch")
    assert said.returncode == 0, said.stdout + said.stderr
    return sorted(counted.read_text().split()) if counted.exists() else []


def test_a_sweep_in_a_repository_grows_with_and_without_a_snapshot(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "train.py").write_text(TRAIN)
    (folder / "helper.py").write_text("WIDTH = 4\n")
    (folder / ".gitignore").write_text("runs/\norch-*\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "training")
    assert launched(folder, "0.1, 0.2", "true") == ["0.1", "0.2"]
    assert launched(folder, "0.1, 0.2, 0.3", "true") == ["0.3"]
    # A commit that changes no file that counts takes nothing away; a changed script does.
    (folder / "README.md").write_text("read me\n")
    git(folder, "add", "README.md")
    git(folder, "commit", "-qm", "a page")
    assert launched(folder, "0.2, 0.3, 0.4", "true") == ["0.4"]
    # In the folder itself a command may read what git ignores, so a snapshot says nothing of it.
    assert launched(folder, "0.2, 0.3", "false") == ["0.2", "0.3"]
    assert launched(folder, "0.2, 0.3, 0.5", "false") == ["0.5"]
    # No command names it, and a script may import it: in the copy too.
    (folder / "helper.py").write_text("WIDTH = 5\n")
    assert launched(folder, "0.2, 0.4", "true") == ["0.2", "0.4"]
    assert launched(folder, "0.2, 0.5", "false") == ["0.2", "0.5"]
