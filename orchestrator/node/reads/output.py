"""What all sources of a job have found -> the files that everything else reads.

In: the sources, and what the command itself has written. Out: ``out/read/progress.jsonl``, whole at
each look; ``out/read/found.json`` with rows and problems, which the node's program takes in;
manifests. Called by this package's ``__main__``.

Written anew from the whole each time, so a look that was killed costs nothing. What an earlier look
has found is an earlier life: where a framework deletes its log at a restart it is still there.
"""

from __future__ import annotations

import json
import os

from orchestrator.node.own_results import FILES, line_problem
from orchestrator.node.reading import BEGAN, FOLDER, FOUND, key_of
from orchestrator.node.reads.checkpoints import keep_manifests
from orchestrator.node.reads.kinds import Source
from orchestrator.node.reads.series import Point, Series
from orchestrator.node.system import read_json, write_json, write_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROGRESS = "progress.jsonl"
PHASE = "train"


class Reading:
    """All that is read of one job."""

    def __init__(self, folder: str) -> None:
        job = read_json(os.path.join(folder, "job.json"))
        self.out = os.path.join(folder, "out")
        self.files = os.path.join(self.out, FILES)
        self.folder = os.path.join(self.out, FOLDER)
        place = {
            "cwd": job["cwd"],
            "files": self.files,
            "began": os.stat(os.path.join(self.folder, BEGAN)).st_mtime,
        }
        reads = job["reads"]
        self.sources = [Source(one, reads["better"], place) for one in reads["from"]]

    def look(self, final: bool) -> None:
        """Read all sources and write what they say; what is wrong too, if ``final``."""
        measured = Series()
        rows: dict[str, dict[str, Any]] = {}
        problems: list[str] = []
        checkpoints = []
        for source in self.sources:
            found = source.read(final)
            measured.add(found.points)
            for row in found.rows:
                rows[key_of(row)] = row
            checkpoints += found.checkpoints
            problems += found.problems
        for metric, value in measured.last().items():
            row = {"metric": metric, "value": value, "n": 1, "axes": {}}
            # What a framework says of the whole goes before the end of a curve.
            rows.setdefault(key_of(row), row)
        self.write_progress(measured)
        keep_manifests(self.files, checkpoints)
        document = {"final": final, "rows": list(rows.values()), "problems": problems}
        write_json(os.path.join(self.folder, FOUND), document)

    def write_progress(self, measured: Series) -> None:
        """All lines: of earlier looks, of the command itself, of what was measured by now."""
        phases: dict[str, Series] = {}
        path = os.path.join(self.folder, PROGRESS)
        for file in (path, os.path.join(self.files, PROGRESS)):
            for line in lines_of(file):
                one = Point(
                    line["step"], line.get("metrics", {}), line.get("time"), line.get("total")
                )
                phases.setdefault(line.get("phase", PHASE), Series()).add([one])
        phases.setdefault(PHASE, Series()).add(measured.points())
        lines = [(point, phase) for phase, series in phases.items() for point in series.points()]
        lines.sort(key=lambda one: one[0].step)
        text = "".join(f"{json.dumps(line_of(*one))}\n" for one in lines)
        if text:
            write_text(path, text)


def line_of(point: Point, phase: str) -> dict[str, Any]:
    """A line of progress."""
    return {
        "step": point.step,
        "total": point.total,
        "time": point.time,
        "phase": phase,
        "metrics": point.metrics,
    }


def lines_of(path: str) -> list[dict[str, Any]]:
    """The lines of a progress file that are as they should be; none if it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return [json.loads(line) for line in file if not line_problem(line)]
    except FileNotFoundError:
        return []
