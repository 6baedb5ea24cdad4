"""The points of ``progress.jsonl`` as they come.

In: the file that an engine writes. Out: each of its lines once, as a point. Called by ``follow``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engines.contract.progress import whole_line

FIRST = "train"
"""The phase whose metrics keep their names."""


@dataclass(frozen=True)
class Point:
    """One line of progress."""

    phase: str
    step: int
    time: float
    """Unix seconds; 0 where the line says none."""
    metrics: dict[str, float]
    """By name; of another phase than ``train`` with the phase before it, as phases count steps of
    their own: ``validate/loss``."""


class Points:
    """The reader of one file."""

    def __init__(self, path: Path, earlier: int | None = None) -> None:
        """``earlier``: the number (inode) of the file that was there before the engine started."""
        self.path = path
        self.number = earlier
        self.offset: int | None = None
        """None: nothing of it has been read."""
        self.anew = False
        """Whether the last look has found another file, and began at its beginning."""

    def new(self, final: bool = False) -> list[Point]:
        """What has been written since the last look.

        A file that was there before the engine started is not read: when it opens the file it
        writes another one without the steps that it will do again. ``final``: it has ended, and
        has not opened it.
        """
        try:
            with self.path.open("rb") as file:
                number = self.path.stat().st_ino
                self.anew = number != self.number
                if self.anew:
                    self.number, self.offset = number, 0
                if self.offset is None and not final:
                    return []
                file.seek(self.offset or 0)
                text = file.read()
        except FileNotFoundError:
            return []
        # The last line may be half written.
        whole = text[: text.rfind(b"\n") + 1]
        self.offset = (self.offset or 0) + len(whole)
        return [point for line in whole.splitlines() if (point := point_of(line)) is not None]


def point_of(text: bytes) -> Point | None:
    """A line as a point; None where it is none or holds no metric."""
    line = whole_line(text)
    if line is None or not line["metrics"]:
        return None
    phase = line["phase"]
    before = "" if phase == FIRST else f"{phase}/"
    metrics = {f"{before}{name}": float(value) for name, value in line["metrics"].items()}
    return Point(phase, line["step"], line["time"] or 0.0, metrics)
