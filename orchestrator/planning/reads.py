"""``reads`` of a stage -> what the node of each of its jobs reads.

In: a checked stage, the axes of its jobs. Out: kind, path and step of each entry, as job.json holds
them; mistakes that only several keys or jobs together show. Called by ``drafts`` and ``expand``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engines.contract.words import near
from engines.contract.written.mistakes import Mistakes
from jobs.spec import Job
from jobs.stages import Point, Scalar, fill, placeholders
from orchestrator.description.stage import Stage
from orchestrator.description.stage_keys.parts import OUT_VARIABLE

READS = "reads"
"""Key of a command's job's config that holds it; it decides no result of the command itself, and is
no part of the identity."""


def check_reads(stage: Stage, axes: Mapping[str, tuple[Scalar, ...]], mistakes: Mistakes) -> None:
    """``{axis}`` and ``$ORCH_OUT`` in the paths."""
    where = stage.place("reads")
    for one in stage.reads:
        head = f"stage '{stage.name}': reads: path {one.path!r}: "
        for axis in dict.fromkeys(placeholders(one.path)):
            if axis not in axes:
                mistakes.add(where, f"{head}no axis '{axis}'{near(axis, axes)}")
        if "$" in one.path.removeprefix(OUT_VARIABLE):
            mistakes.add(
                where, f"{head}of variables only {OUT_VARIABLE} is filled in, at the beginning"
            )


def reads_of(stage: Stage, point: Point) -> dict[str, Any] | None:
    """What the node of a job reads; and of each metric that the stage names and that has a best
    value, which values are better: the best checkpoint goes by the first of them that it has."""
    if not stage.reads:
        return None
    sources = []
    for one in stage.reads:
        (path,) = fill([one.path], point)
        sources.append({"kind": one.kind, "path": path, "step": one.step})
    better = {
        name: "higher" if metric.higher_is_better else "lower"
        for name, metric in stage.metrics.items()
        if metric.higher_is_better is not None
    }
    return {"from": sources, "better": better}


def tell_same_files(jobs: Sequence[Job], stages: Mapping[str, Stage], mistakes: Mistakes) -> None:
    """No two jobs read the same files: one would have the other's curves for its own."""
    first: dict[tuple[str, str], Job] = {}
    told: set[str] = set()
    for job in jobs:
        held = job.config.get(READS) if job.engine is None else None
        for one in held["from"] if held else ():
            path = one["path"]
            other = first.setdefault((one["kind"], path), job)
            stage = stages.get(job.stage)
            if other is job or path.startswith(OUT_VARIABLE) or stage is None or path in told:
                continue
            told.add(path)
            mistakes.add(
                stage.place("reads"),
                f"stage '{stage.name}': reads: {other.name} and {job.name} would both read "
                f"{path!r}; let each job write into a folder of its own and put an {{axis}} or "
                f"{OUT_VARIABLE} into the path",
            )
