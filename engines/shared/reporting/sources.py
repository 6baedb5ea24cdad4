"""The files that a report's numbers come from, each with a number.

In: paths, as a report's load.py reads them, each with what it is used for. Out: labels such as
``[1-3, 7]`` beside every table and figure, and the list of files at the end. Used by every report
engine.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engines.contract.words import ranges


def labels(numbers: Iterable[int]) -> str:
    """Numbers as text, runs joined: ``[1-3, 7]``; "" for none."""
    text = ranges(numbers, ", ")
    return f"[{text}]" if text else ""


def ran(files: Sequence[Path]) -> list[str]:
    """Experiment with its run, and the date of the newest of these files; what is not known is left
    out. A job's files lie in ``<experiment>/<run>/jobs/<job>/out``."""
    runs: dict[str, None] = {}
    for file in files:
        for folder in file.parents:
            if folder.name == "jobs" and len(folder.parts) > 3:
                runs[f"{folder.parent.parent.name}/{folder.parent.name}"] = None
    times = [file.stat().st_mtime for file in files if file.exists()]
    date = time.strftime("%-d %B %Y", time.localtime(max(times))) if times else ""
    return [", ".join(runs), date]


@dataclass
class Sources:
    """Files, numbered from 1 in the order of their first use."""

    files: list[Path] = field(default_factory=list)
    """File number k is ``files[k - 1]``."""
    uses: dict[str, list[int]] = field(default_factory=dict)
    """What is shown (scores, curves, costs) -> numbers of the files that it comes from."""

    def add(self, use: str, path: Path) -> int:
        """Say that ``use`` comes from a file; returns the file's number."""
        if path not in self.files:
            self.files.append(path)
        number = self.files.index(path) + 1
        numbers = self.uses.setdefault(use, [])
        if number not in numbers:
            numbers.append(number)
        return number

    def label(self, *uses: str) -> str:
        """The numbers of the files of one or several uses, as text."""
        return labels({number for use in uses for number in self.uses.get(use, [])})

    def paths(self, use: str) -> str:
        """The files of a use, by number, as a row of results names them."""
        return ";".join(str(self.files[number - 1]) for number in sorted(self.uses.get(use, [])))
