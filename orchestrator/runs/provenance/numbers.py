"""The launches of a run by their numbers: the folders ``provenance/<n>`` that are whole.

In: a run's folder. Out: numbers. Called by launches.py, and by every pass that submits, which needs
nothing else of it.
"""

from __future__ import annotations

from pathlib import Path

FOLDER, LAUNCH = "provenance", "launch.json"


def launch_numbers(run_folder: Path) -> list[int]:
    """The numbers of the launches, the oldest first."""
    # As numbers: as text, 10 comes before 9.
    names = [path.parent.name for path in (run_folder / FOLDER).glob(f"*/{LAUNCH}")]
    return sorted(int(name) for name in names if name.isdecimal())


def newest_launch(run_folder: Path) -> int:
    """The number of the newest one; 0 if none was noted."""
    return max(launch_numbers(run_folder), default=0)
