"""Repositories of git for tests of what is kept of the code."""

import subprocess
from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    whole = [
        "git",
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "init.defaultBranch=main",
        *arguments,
    ]
    return subprocess.run(
        whole, cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def repository(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q")
    (folder / ".gitignore").write_text("ignored\nruns\n")
    (folder / "train.py").write_text("print('one')\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "one")
    return folder
