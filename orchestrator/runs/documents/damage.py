"""Which files of runs this process has found damaged.

In: a file, what is wrong with it, and what counts in its place. Out: lines for a person, once for
each file. Noted by whoever reads files of a run (reading.py), told by ``orchestrator.cli.__main__``
at the end of a command. Light: every start of `orch` imports it.
"""

from __future__ import annotations

from pathlib import Path

SHOWN = 20
"""So many damaged files are named."""
_noted: dict[str, str] = {}


def note(path: Path | str, why: str, remedy: str) -> None:
    """Keep in mind that a file is damaged, to be told at the end of the command: once, however
    often it is read."""
    _noted.setdefault(str(path), f"{path}: {why}: {remedy}")


def is_noted() -> bool:
    """Whether there is something to tell."""
    return bool(_noted)


def told() -> list[str]:
    """What was noted since the last time, a line for each file."""
    lines = list(_noted.values())
    _noted.clear()
    if len(lines) > SHOWN:
        return [*lines[:SHOWN], f"and {len(lines) - SHOWN} more files that cannot be read"]
    return lines
