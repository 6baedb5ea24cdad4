"""Which points a search has drawn, on disk.

    runs/<experiment>/<run>/searches/<stage>.json
                            the rounds drawn so far: their points, what drew them, and what was
                            known of the points before, with every value

The file is what counts: a retry, a relaunch and a second look at the same moment find the points in
it, whatever a library would propose then. Written by orch, whole, by rename, with the run's lock
held, and before any job of the round is submitted.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

from jobs.searches import FOLDER, POINT, Round
from jobs.spec import Job
from jobs.stages import Point
from orchestrator.errors import RunError
from orchestrator.node.cost import LATEST
from orchestrator.node.system import write_json
from orchestrator.runs.documents.damage import note
from orchestrator.runs.documents.reading import content_of, decoded
from orchestrator.runs.run import Run


class Drawn(TypedDict):
    """What is read of the file of a stage."""

    rounds: list[Round]


def lacking() -> str:
    """What to do where Optuna is not installed; empty where it is."""
    if importlib.util.find_spec("optuna") is not None:
        return ""
    return (
        f"Optuna is not installed for {sys.executable}: pip install 'slurm-ml-orchestrator[search]'"
    )


def rounds_file(run: Run, stage: str) -> Path:
    """Where the rounds of a stage are kept."""
    return run.folder / FOLDER / f"{stage}.json"


def load_rounds(run: Run, stage: str) -> list[Round]:
    """The rounds of a stage that were drawn so far. RunError if they cannot be read: other points
    must not be drawn in place of those that jobs have run at."""
    path = rounds_file(run, stage)
    try:
        rounds = decoded(content_of(path), Drawn)["rounds"]
        if not all(0 <= one.time < LATEST for one in rounds):
            raise ValueError("a time that no clock shows")
        return rounds
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path}: {error}: which points were drawn cannot be known; put the file back, or "
            "search anew: set ORCH_RUNS to another folder, and launch"
        ) from error


def keep_rounds(run: Run, drawn: Mapping[str, Round]) -> None:
    """Write the next round of each of these stages, unless it is there. With the lock held."""
    for stage, one in drawn.items():
        known = load_rounds(run, stage)
        if one.number != len(known) + 1:
            continue
        path = rounds_file(run, stage)
        path.parent.mkdir(exist_ok=True)
        document: dict[str, Any] = {
            "stage": stage,
            "search": run.plan.searches[stage].to_dict(),
            "rounds": [each.to_dict() for each in (*known, one)],
        }
        write_json(path, document)
    if drawn:
        show_points(run)


def points_of(run: Run, stages: Iterable[str]) -> dict[str, list[Point]]:
    """The points drawn so far of those of the stages that have a search, by their number."""
    found = {}
    for stage in stages:
        if stage in run.plan.searches:
            rounds = load_rounds(run, stage)
            found[stage] = [point for one in rounds for point in one.points]
    return found


def show_points(run: Run) -> None:
    """Put what was drawn among the axes of the jobs, for all that shows them."""
    if not run.plan.searches:
        return
    try:
        points = points_of(run, run.plan.searches)
    except RunError as error:
        # Whoever only shows the run does without; whoever submits or draws reads it again.
        note(error.lines[0].partition(": ")[0], "is damaged", "points are shown by their number")
        return
    for job in run.plan.jobs:
        values = point_of(job, points)
        if values:
            own = {axis: value for axis, value in job.axes.items() if axis not in values}
            # In place: the plan and ``by_name`` hold the same job.
            job.axes.clear()
            job.axes.update({**values, **own})


def point_of(job: Job, points: Mapping[str, list[Point]]) -> Point:
    """The values of one job; none of what is not drawn, or comes from no search."""
    of_stage = points.get(job.stage, [])
    number = int(job.axes[POINT]) if of_stage else 0
    return of_stage[number] if number < len(of_stage) else {}


def at_point(run: Run, job: Job, points: Mapping[str, list[Point]]) -> Job:
    """A job with what was drawn for it, in its axes and its command or config."""
    values = point_of(job, points)
    if not values:
        return job
    axes = {**job.axes, **values}
    if job.engine is not None:
        return replace(job, axes=axes, config={**job.config, **values})
    return replace(job, axes=axes, command=run.plan.searches[job.stage].command_at(axes))
