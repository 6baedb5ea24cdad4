"""What all sources of a job have found -> the files that everything else reads.

In: the sources, and what the command itself has written. Out: ``out/read/progress.jsonl``, whole at
each look; ``out/read/found.json`` with rows and problems, which the node's program takes in;
manifests. Called by this package's ``__main__``, and by `orch launch` for finished jobs whose
``reads`` was changed.

Written anew from the whole each time, so a look that was killed costs nothing. What an earlier look
has found is an earlier life: where a framework deletes its log at a restart it is still there.
"""

from __future__ import annotations

import json
import os

from orchestrator.node.own_results import FILES, line_problem
from orchestrator.node.reading import BEGAN, FOLDER, FOUND, key_of, prepare, rows_of_a_command
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


def read_finished(folder: str) -> list[str]:
    """Read a finished command's files once, by what job.json says now; returns what is wrong."""
    out = os.path.join(folder, "out")
    began = os.path.join(out, FOLDER, BEGAN)
    known = os.path.exists(began)
    prepare(out)
    if not known:
        # Nothing was read of it so far: its files are those since its first start.
        time = first_start(folder)
        os.utime(began, (time, time))
    Reading(folder).look(final=True)
    rows, problems = rows_of_a_command(out, read_json(os.path.join(folder, "job.json")))
    results = os.path.join(out, "results.json")
    try:
        document = read_json(results)
        facts = {key: value for key, value in document["facts"].items() if key != "problems"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ["its results.json is damaged, and stays as it is: orch retry sets it aside"]
    if problems:
        facts["problems"] = problems
    write_json(results, {**document, "rows": rows, "facts": facts})
    return problems


def first_start(folder: str) -> float:
    """When the job was first started, in Unix seconds; 0 if no record says it."""
    attempt = os.path.join(folder, "attempt-1")
    names = sorted(os.listdir(attempt)) if os.path.isdir(attempt) else []
    records = [name for name in names if name.startswith("exit") and name.endswith(".json")]
    return min(
        (float(read_json(os.path.join(attempt, one))["started"]) for one in records), default=0.0
    )
