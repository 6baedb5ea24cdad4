"""``progress.jsonl``: one line per step while an engine works.

In: step, total and metrics, as the engine goes. Out: lines that can be read meanwhile. Engines
write it; ``orch status``, curves and reports read it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.contract.files import write_text


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
    """All whole lines of ``progress.jsonl``; a torn last line is left out."""
    path = out / "progress.jsonl"
    if not path.exists():
        return []
    lines = []
    for text in path.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break  # torn by a kill in the middle of a write; nothing follows it
    return lines
