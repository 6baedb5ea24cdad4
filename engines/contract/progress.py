"""``progress.jsonl``: one line per step while an engine works.

In: step, total and metrics, as the engine goes. Out: lines that can be read meanwhile. Engines
write it; ``orch status``, curves and reports read it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engines.contract.files import content_of, loads, write_text

LARGEST = 2**63
"""Whole numbers from here on are none that a program counts to, and no float may hold them."""
DROPPED = -1
"""Step of a line that a later start has written again."""


class Progress:
    """The writer of ``progress.jsonl`` in an output folder.

    A line is ``{"step", "total", "time", "phase", "metrics"}``; time is Unix seconds. Opening it
    drops the lines after the step ``keep_until``, so that a resumed run leaves the same file as an
    uninterrupted one (but for the times).
    """

    def __init__(self, out: Path, keep_until: int = 0) -> None:
        self.path = out / "progress.jsonl"
        kept = [line for line in read_progress(out) if line["step"] <= keep_until]
        # The kept lines go into a new file that is renamed,
        # so a kill at this point loses none of them.
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))

    def write(
        self, step: int, total: int, metrics: Mapping[str, float], phase: str = "train"
    ) -> None:
        """Append one line and flush it."""
        line = {
            "step": step,
            "total": total,
            "time": time.time(),
            "phase": phase,
            "metrics": dict(metrics),
        }
        # Closed after each line: on NFS other nodes see what was written once the file is closed.
        with self.path.open("a") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")


def read_progress(out: Path) -> list[dict[str, Any]]:
    """The lines of ``progress.jsonl``, as a program that was never stopped would have left them;
    what is no line is passed over."""
    try:
        return of_last_start(content_of(out / "progress.jsonl").splitlines())
    except OSError:
        return []


def of_last_start(texts: Iterable[bytes]) -> list[dict[str, Any]]:
    """Lines with all their keys, those that a later start has written again taken once.

    A line may be torn by a kill, and a program that starts again from a checkpoint repeats steps:
    what the later start says of a step counts. Lines of one step are one line.
    """
    lines: list[dict[str, Any]] = []
    # By phase, as validations have steps of their own.
    newest: dict[str, list[int]] = {}
    for text in texts:
        line = whole_line(text)
        if line is None:
            continue
        places = newest.setdefault(line["phase"], [])
        while places and lines[places[-1]]["step"] > line["step"]:
            lines[places.pop()]["step"] = DROPPED
        if places and lines[places[-1]]["step"] == line["step"]:
            same = lines[places[-1]]
            same.update(line, metrics={**same["metrics"], **line["metrics"]})
        else:
            places.append(len(lines))
            lines.append(line)
    return [line for line in lines if line["step"] != DROPPED]


def whole_line(text: bytes) -> dict[str, Any] | None:
    """A line with all its keys; None if it is none. Only step is needed: a user's script may leave
    the others out."""
    try:
        value = loads(text)
    except ValueError:
        return None
    if not isinstance(value, dict) or type(value.get("step")) is not int:
        return None
    if not 0 <= value["step"] < LARGEST:
        return None
    found = {"total": None, "time": None, "phase": "train", "metrics": {}, **value}
    optional = [found["total"], found["time"]]
    metrics, phase = found["metrics"], found["phase"]
    if not isinstance(metrics, dict) or not isinstance(phase, str):
        return None
    if not all(one is None or is_number(one) for one in optional):
        return None
    # NaN cannot be drawn or compared, and says nothing that a missing point does not say.
    found["metrics"] = {
        name: one for name, one in metrics.items() if is_number(one) and math.isfinite(one)
    }
    return found


def is_number(value: object) -> bool:
    """Whether it is a number that can be drawn, and no boolean."""
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < LARGEST
    return isinstance(value, float)
