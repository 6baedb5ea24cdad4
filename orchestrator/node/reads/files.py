"""Where to look for what a framework writes.

In: the path of an entry of ``reads``, filled in; when the job began. Out: the files below it that
were written since. Called by the readers of this package.
"""

from __future__ import annotations

import fnmatch
import glob
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEPTH = 6
"""Folders below the path that are searched."""
MTIME_SECONDS = 2.0
"""How far the clocks of two file systems may be apart, and how coarse their times."""


class Place:
    """A path, and since when what lies there is this job's."""

    def __init__(self, path: str, began: float = 0.0) -> None:
        self.path = path
        self.began = began
        self.older = 0
        """Files that fit and were written before the job began: another run's."""

    def matching(self) -> list[str]:
        """The file, or the files that the pattern fits, the last written one last."""
        paths = glob.glob(self.path, recursive=True) if glob.has_magic(self.path) else [self.path]
        files = [path for path in paths if os.path.isfile(path)]
        return sorted(self.own(files), key=lambda path: (os.stat(path).st_mtime, path))

    def below(self, *patterns: str) -> list[str]:
        """The files below whose names fit one of the patterns, by path; or the path itself."""
        if os.path.isfile(self.path):
            return self.own([self.path])
        files = []
        for folder, folders, names in os.walk(self.path):
            deep = os.path.relpath(folder, self.path).count(os.sep)
            folders[:] = sorted(folders) if deep < DEPTH else []
            for name in sorted(names):
                if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
                    files.append(os.path.join(folder, name))
        return self.own(files)

    def own(self, files: list[str]) -> list[str]:
        """Those of the files that were written since the job began."""
        kept = []
        for path in files:
            try:
                written = os.stat(path).st_mtime
            except OSError:  # removed meanwhile
                continue
            if written >= self.began - MTIME_SECONDS:
                kept.append(path)
            else:
                self.older += 1
        return kept

    def shown(self, path: str) -> str:
        """A path in a message."""
        below = os.path.relpath(path, self.path)
        return os.path.basename(path) if below == "." else below


def read_text(path: str) -> str:
    """The text of a file, empty if it is gone; bytes that are none are marked."""
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def read_object(path: str) -> dict[str, Any] | None:
    """The object in a JSON file, NaN and Infinity as such; None if it is not there, or not whole
    (yet)."""
    import json

    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
