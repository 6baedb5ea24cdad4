"""What a run has cost: GPU- and CPU-hours asked for, used and wasted, per stage and arm.

In: the run, its records and their starts (starts.py). Out: a ``Cost`` per group, and their sum.
Pure, but for ``read_wasted``, which reads when progress and checkpoints were written. Called by
``spent`` in tables.py. Hours are what a start held (its time by its CPUs or GPUs), as sites charge
them; a GPU that the jobs of a pack share is divided among them. Wasted is the time of a start that
left no results, since the last moment that a later start went on from, or could go on from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from engines.contract.progress import read_progress
from jobs.spec import Resources
from orchestrator.node.cost import units_held
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.costs.starts import Start

Group = tuple[str, tuple[tuple[str, Any], ...]]
"""A stage, and the values of the axes that its jobs are grouped by."""
Wasted = Mapping[tuple[str, int, int], float]
"""(job, attempt, restart) -> seconds; starts that wasted nothing are left out."""
NOTHING_WASTED = ("running", "results", "requeued")
"""Outcomes of starts whose whole time counted, or still may."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Hours of a group of jobs."""

    stage: str
    axes: Mapping[str, Any]
    """Of the group, such as ``{"arm": "pcgrad"}``."""
    jobs: int
    starts: int
    gpu_hours_asked: float
    """Of every job that no gate skipped: its time limit by its GPUs, once."""
    gpu_hours_used: float
    gpu_hours_wasted: float
    cpu_hours_asked: float
    cpu_hours_used: float
    cpu_hours_wasted: float
    unknown: int
    """Starts that left no exit record; while there are any, the hours are a lower bound."""


def wasted_seconds(
    start: Start, progress_times: Sequence[float], checkpoint_times: Sequence[float], later: bool
) -> float:
    """How much of a start's time was for nothing.

    Args:
        progress_times: of the lines in ``progress.jsonl``: a start that goes on removes what it
            does again.
        checkpoint_times: when checkpoints were written that are still there.
        later: whether another start came after this one.
    """
    # A start whose end is unknown counts as no time used, so none of it can be wasted.
    if start.outcome in NOTHING_WASTED or start.ended is None:
        return 0.0
    saved = [time for time in progress_times if start.started <= time <= start.ended]
    if start.outcome == "stopped" and saved:
        # It saved where it stood when it was asked to stop. Without a line of progress nothing
        # shows that it got anywhere, and all of its time counts as wasted.
        return 0.0
    if not later:
        # Nobody has gone on yet: what a next start would find are the checkpoints.
        saved = [time for time in checkpoint_times if start.started <= time <= start.ended]
    # Started at 0 s, last saved at 600 s, killed at 900 s: 300 s are wasted. With nothing saved it
    # is all 900 s.
    return start.ended - max(saved, default=start.started)


def read_wasted(run: Run, records: Sequence[Record], starts: Iterable[Start]) -> Wasted:
    """Wasted seconds of each start. Reads the progress of those jobs alone that may have wasted
    any."""
    folders = {record.name: run.out_folder(record) for record in records}
    seconds_of: dict[tuple[str, int, int], float] = {}
    for job, own in by_job(starts).items():
        # Most jobs of a run end well, and their progress need not be read.
        if all(start.outcome in NOTHING_WASTED for start in own):
            continue
        lines = read_progress(folders[job])
        progress_times = [line["time"] for line in lines if line["time"] is not None]
        # The manifest is the last file of a checkpoint, so its time is when the checkpoint was
        # whole.
        manifests = folders[job].glob("checkpoints/*/manifest.json")
        checkpoint_times = [path.stat().st_mtime for path in manifests]
        for number, start in enumerate(own, start=1):
            # A start that goes on cuts progress.jsonl back to its checkpoint, so with a later start
            # the lines that are left are those that were kept. Without one, lines after the newest
            # checkpoint are still there and may yet be lost.
            later = number < len(own)
            seconds = wasted_seconds(start, progress_times, checkpoint_times, later)
            if seconds:
                seconds_of[job, start.attempt, start.restart] = seconds
    return seconds_of


def by_job(starts: Iterable[Start]) -> dict[str, list[Start]]:
    """The starts of each job, in their order."""
    found: dict[str, list[Start]] = {}
    for start in starts:
        found.setdefault(start.job, []).append(start)
    return found


def group_of(run: Run, name: str, by: Sequence[str]) -> Group:
    """The stage of a job and its values on the axes that it is grouped by."""
    job = run.by_name[name]
    # A stage that does not vary on these axes is one group, such as ("prepare", ()).
    return job.stage, tuple((axis, job.axes[axis]) for axis in by if axis in job.axes)


def costs(
    run: Run,
    records: Sequence[Record],
    starts: Sequence[Start],
    wasted: Wasted,
    by: Sequence[str] = ("arm",),
) -> list[Cost]:
    """Hours per stage and axis, in the order of the plan."""
    groups: dict[Group, list[Record]] = {}
    for record in records:
        groups.setdefault(group_of(run, record.name, by), []).append(record)
    starts_of = by_job(starts)
    found = []
    for group, members in groups.items():
        own = [start for record in members for start in starts_of.get(record.name, ())]
        found.append(group_cost(run, group, members, own, wasted))
    return found


def group_cost(
    run: Run, group: Group, members: Sequence[Record], starts: Sequence[Start], wasted: Wasted
) -> Cost:
    """Hours of one group: its jobs and their starts."""
    stage, axes = group
    known = starts_known(starts)
    return Cost(
        stage=stage,
        axes=dict(axes),
        jobs=len(members),
        starts=known,
        gpu_hours_asked=hours_asked(run, members, "gpus"),
        gpu_hours_used=hours_used(starts, "gpus"),
        gpu_hours_wasted=hours_wasted(starts, wasted, "gpus"),
        cpu_hours_asked=hours_asked(run, members, "cpus"),
        cpu_hours_used=hours_used(starts, "cpus"),
        cpu_hours_wasted=hours_wasted(starts, wasted, "cpus"),
        # Starts that left no file at all, and those that left a claim but no end.
        unknown=known - len(starts) + sum(start.ended is None for start in starts),
    )


def hours_asked(run: Run, members: Iterable[Record], kind: str) -> float:
    """``gpus`` or ``cpus`` by the time limit, of every job that no gate skipped."""
    hours = []
    for record in members:
        if record.state is JobState.SKIPPED:
            continue
        job = run.by_name[record.name]
        # A retry may have raised the time limit above that of the plan.
        minutes = record.minutes or job.resources.minutes
        # Four jobs of a pack on one GPU ask for a quarter of it each.
        hours.append(held(job.resources, kind, job.running_of(job.pack) - 1) * minutes / 60)
    return sum(hours)


def hours_used(starts: Iterable[Start], kind: str) -> float:
    """``gpus`` or ``cpus`` by the time that each start took."""
    seconds = 0.0
    for start in starts:
        seconds += held(start.resources, kind, start.neighbours) * start.seconds
    return seconds / 3600


def hours_wasted(starts: Iterable[Start], wasted: Wasted, kind: str) -> float:
    """``gpus`` or ``cpus`` by the wasted part of that time."""
    seconds = 0.0
    for start in starts:
        lost = wasted.get((start.job, start.attempt, start.restart), 0.0)
        seconds += held(start.resources, kind, start.neighbours) * lost
    return seconds / 3600


def held(resources: Resources, kind: str, neighbours: int) -> float:
    """``gpus`` or ``cpus`` that such a start holds, as the node counts them for cost.json."""
    return units_held(resources.to_dict(), kind, neighbours)


def starts_known(starts: Iterable[Start]) -> int:
    """How many starts there were. A start before a requeue may have left nothing; the number of the
    newest one says that it was."""
    newest: dict[tuple[str, int], int] = {}
    for start in starts:
        attempt = start.job, start.attempt
        newest[attempt] = max(newest.get(attempt, 0), start.restart)
    # Starts of an attempt are numbered from 0: number 2 as the newest means three starts.
    return sum(restart + 1 for restart in newest.values())


def total(parts: Sequence[Cost]) -> Cost:
    """The sum of all groups."""
    # ``spent`` refuses a run without jobs, so there is a first part.
    sums = {
        key: sum(getattr(part, key) for part in parts)
        for key in asdict(parts[0])
        if key not in ("stage", "axes")
    }
    return Cost(stage="all", axes={}, **sums)
