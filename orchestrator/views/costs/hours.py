"""What a run has cost: GPU- and CPU-hours asked for, used and wasted, per stage and arm; and what
its jobs used of what they held.

Everything after ``read_starts`` is pure. A start is one time that a scheduler started an attempt: a
requeued attempt has several. Hours are what a start held (its time by its CPUs or GPUs), as sites
charge them. Wasted is the time of a start that left no results, since the last moment that a later
start went on from, or could go on from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engines.contract.progress import read_progress
from jobs.spec import Resources
from orchestrator.node.system import CONTINUES
from orchestrator.runs.record import ACTIVE, JobState, Record
from orchestrator.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class Start:
    """One start of one attempt."""

    job: str
    attempt: int
    restart: int
    started: float
    ended: float | None
    """Unix seconds; of one that runs now, now. None: it left no exit record and nobody knows until
    when it ran."""
    outcome: str
    """``running``, ``results``, ``requeued`` (it had saved its state), ``stopped`` (the same, by a
    person or a preemption), ``died``."""
    resources: Resources
    job_id: str = ""
    neighbours: int = 0
    """How many other jobs shared its allocation, and its GPUs."""
    usage: Mapping[str, Any] = field(default_factory=dict)
    """As the node or the scheduler measured it; empty: nobody did."""

    @property
    def seconds(self) -> float:
        """How long it ran, as far as is known."""
        return max(0.0, (self.ended if self.ended is not None else self.started) - self.started)


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


def read_starts(run: Run, records: Sequence[Record], now: float) -> list[Start]:
    """Every start that left a trace in the jobs' folders, in order."""
    found: list[Start] = []
    for record in records:
        folder = run.folder / record.folder
        asked = run.by_name[record.name].resources
        for number in range(1, record.attempt + 1):
            found += attempt_starts(record, folder / f"attempt-{number}", number, asked, now)
    return found


def attempt_starts(
    record: Record, folder: Path, number: int, asked: Resources, now: float
) -> list[Start]:
    """The starts of one attempt: ``exit.json``, a numbered copy for each start before a requeue,
    and ``claim.json`` of the newest."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    left = [
        json.loads((folder / name).read_text())
        for name in names
        if re.fullmatch(r"exit(-\d+)?\.json", name)
    ]
    starts = {
        one["restart"]: Start(
            job=record.name,
            attempt=number,
            restart=one["restart"],
            started=one["started"],
            ended=one["ended"],
            outcome=outcome(one),
            resources=Resources(**one["resources"]) if one.get("resources") else asked,
            job_id=one["job_id"],
            usage=one.get("usage") or {},
            neighbours=one.get("neighbours", 0),
        )
        for one in left
    }
    if "claim.json" in names:
        claim = json.loads((folder / "claim.json").read_text())
        newest = number == record.attempt
        running = newest and record.state in (
            JobState.RUNNING,
            JobState.SUSPENDED,
            JobState.COMPLETING,
        )
        if claim["restart"] not in starts:
            ended = (
                now if running else record.ended if newest and record.state not in ACTIVE else None
            )
            complete = (
                newest and record.state is JobState.COMPLETED
            )  # its node was lost between the results and the exit record
            if complete and ended is None:
                ended = written(folder.parent / "out" / "results.json")
            starts[claim["restart"]] = Start(
                job=record.name,
                attempt=number,
                restart=claim["restart"],
                started=claim["started"],
                ended=ended,
                outcome="running" if running else "results" if complete else "died",
                resources=asked,
                job_id=claim["job_id"],
                neighbours=claim.get("neighbours", 0),
            )
    return [starts[key] for key in sorted(starts)]


def written(results: Path) -> float | None:
    """When results were written, which is the last that an engine does, in Unix seconds; None if
    they are not there."""
    return results.stat().st_mtime if results.exists() else None


def outcome(left: Mapping[str, Any]) -> str:
    """How a start ended, by its exit record."""
    if left["results"]:
        return "results"
    if left["requeued"]:
        return "requeued"
    return "stopped" if left["exit_code"] == CONTINUES else "died"


def wasted_seconds(
    start: Start, kept: Sequence[float], saved: Sequence[float], later: bool
) -> float:
    """How much of a start's time was for nothing.

    Args:
        kept: times of the lines in ``progress.jsonl``: a start that goes on removes what it does
            again.
        saved: when checkpoints were written that are still there.
        later: whether another start came after this one.
    """
    if start.outcome in ("running", "results", "requeued") or start.ended is None:
        return 0.0
    inside = [time for time in kept if start.started <= time <= start.ended]
    if start.outcome == "stopped" and inside:
        return 0.0  # it saved where it stood when it was asked to stop
    if not later:
        inside = [time for time in saved if start.started <= time <= start.ended]
    return start.ended - max(inside, default=start.started)


def wasted(
    run: Run, records: Sequence[Record], starts: Iterable[Start]
) -> dict[tuple[str, int, int], float]:
    """Wasted seconds of each start that wasted any, by (job, attempt, restart). Reads the progress
    of those jobs alone."""
    folders = {record.name: run.folder / record.folder / "out" for record in records}
    by_job: dict[str, list[Start]] = {}
    for start in starts:
        by_job.setdefault(start.job, []).append(start)
    found = {}
    for job, mine in by_job.items():
        if all(start.outcome in ("running", "results", "requeued") for start in mine):
            continue
        kept = [line["time"] for line in read_progress(folders[job])]
        saved = [path.stat().st_mtime for path in folders[job].glob("checkpoints/*/manifest.json")]
        for place, start in enumerate(mine):
            seconds = wasted_seconds(start, kept, saved, place + 1 < len(mine))
            if seconds:
                found[job, start.attempt, start.restart] = seconds
    return found


def group_of(run: Run, name: str, by: Sequence[str]) -> tuple[str, tuple[tuple[str, Any], ...]]:
    """The stage of a job and its values on the axes that it is grouped by."""
    job = run.by_name[name]
    return job.stage, tuple((axis, job.axes[axis]) for axis in by if axis in job.axes)


def costs(
    run: Run,
    records: Sequence[Record],
    starts: Sequence[Start],
    lost: Mapping[tuple[str, int, int], float],
    by: Sequence[str] = ("arm",),
) -> list[Cost]:
    """Hours per stage and axis, in the order of the plan. ``lost``: as ``wasted`` gives it."""
    groups: dict[tuple[str, tuple[tuple[str, Any], ...]], list[Record]] = {}
    for record in records:
        groups.setdefault(group_of(run, record.name, by), []).append(record)
    of_job: dict[str, list[Start]] = {}
    for start in starts:
        of_job.setdefault(start.job, []).append(start)
    return [
        one_cost(run, stage, dict(axes), members, of_job, lost)
        for (stage, axes), members in groups.items()
    ]


def one_cost(
    run: Run,
    stage: str,
    axes: Mapping[str, Any],
    members: Sequence[Record],
    of_job: Mapping[str, Sequence[Start]],
    lost: Mapping[tuple[str, int, int], float],
) -> Cost:
    """Hours of one group."""
    mine = [start for record in members for start in of_job.get(record.name, ())]
    asked = [
        (run.by_name[record.name], record)
        for record in members
        if record.state is not JobState.SKIPPED
    ]
    hours = {}
    for kind in ("gpus", "cpus"):
        hours[kind] = (
            sum(
                units(one.resources, kind, one.pack - 1)
                * (record.minutes or one.resources.minutes)
                / 60
                for one, record in asked
            ),
            sum(units(start.resources, kind, start.neighbours) * start.seconds for start in mine)
            / 3600,
            sum(
                units(s.resources, kind, s.neighbours)
                * lost.get((s.job, s.attempt, s.restart), 0.0)
                for s in mine
            )
            / 3600,
        )
    known: dict[tuple[str, int], int] = {}
    for start in mine:
        known[start.job, start.attempt] = max(
            known.get((start.job, start.attempt), 0), start.restart
        )
    starts = sum(
        newest + 1 for newest in known.values()
    )  # a start before a requeue that left nothing is known by its number
    return Cost(
        stage=stage,
        axes=axes,
        jobs=len(members),
        starts=starts,
        gpu_hours_asked=hours["gpus"][0],
        gpu_hours_used=hours["gpus"][1],
        gpu_hours_wasted=hours["gpus"][2],
        cpu_hours_asked=hours["cpus"][0],
        cpu_hours_used=hours["cpus"][1],
        cpu_hours_wasted=hours["cpus"][2],
        unknown=starts - len(mine) + sum(start.ended is None for start in mine),
    )


def units(resources: Resources, kind: str, neighbours: int = 0) -> float:
    """GPUs or CPUs over all nodes; GPUs are shared with the neighbours of a pack."""
    count: int = getattr(resources, kind)
    return resources.nodes * count / (1 + neighbours if kind == "gpus" else 1)


def total(parts: Sequence[Cost]) -> Cost:
    """The sum of all groups."""
    sums = {
        key: sum(getattr(part, key) for part in parts)
        for key in asdict(parts[0])
        if key not in ("stage", "axes")
    }
    return Cost(stage="all", axes={}, **sums)
