"""Why a run may not be taken away: what of it runs, and which other runs need it.

In: a run, and the runs beside it. Out: sentences; none: it may go. Called by taking.py.

A run is needed by whoever names it in a JSON file that a later job may read: its plan (paths of
models and samples), what an evolution follows, the configs of its jobs (samples that are reused),
and files of its jobs that say where they, or all that they have left, were taken from; or by a link
that leads into it. A path may be written in several ways, and all of them have
``<experiment>/<run>`` in them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.lifecycle.refresh import refresh
from orchestrator.node.tracking.variables import SETTINGS as TRACKERS
from orchestrator.runs.documents.reading import content_of
from orchestrator.runs.layout import OUT
from orchestrator.runs.lookup import all_runs
from orchestrator.runs.record import ACTIVE, JobState, Record
from orchestrator.runs.reuse.bring import REUSED
from orchestrator.runs.run import Run

CHECKPOINTS = "checkpoints"
SHOWN = 5
"""Jobs that are named; of others only how many."""


def reasons_to_stay(run: Run, only_checkpoints: bool = False) -> list[str]:
    """Why the run, or its checkpoints alone, may not be taken; asks its scheduler once."""
    records, trouble = refresh(run)
    if trouble:
        return [f"the scheduler could not be asked what runs: {trouble}"]
    # Of a job that nobody knows of it is not known that it does not run.
    at_work = [one for one in records if one.state in ACTIVE or one.state is JobState.UNKNOWN]
    found = []
    if at_work:
        names = ", ".join(f"{one.name} is {one.state}" for one in at_work[:SHOWN])
        more = f" and {len(at_work) - SHOWN} more" if len(at_work) > SHOWN else ""
        found.append(f"{names}{more}; end them first: orch cancel {run.name}")
    if only_checkpoints:
        found += wanted_inside(run, records)
    return [*found, *needed_by(run)]


def wanted_inside(run: Run, records: Sequence[Record]) -> list[str]:
    """Which jobs of the run itself are still to come, and would load checkpoints of it. Those that
    have failed or were cancelled are not: only a person brings them back."""
    with_checkpoints = {
        job.name for job in run.plan.jobs if (run.out_folder(job) / CHECKPOINTS).exists()
    }
    waiting = [record.name for record in records if record.state is JobState.WAITING]
    found = []
    for name in waiting:
        job = run.by_name[name]
        # An engine's config names what it loads; a command may look into whatever it follows. A job
        # that was started before goes on from its own.
        loads = name in with_checkpoints or names_checkpoints(job.config)
        follows = job.command is not None and not with_checkpoints.isdisjoint(job.after)
        if loads or follows:
            found.append(name)
    if not found:
        return []
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return [
        f"{', '.join(found[:SHOWN])}{more} still to come, and may load them; let the run end, or "
        f"cancel what waits: orch cancel {run.name}"
    ]


def names_checkpoints(value: Any) -> bool:
    """Whether a config names checkpoints of a job: a folder, and which of them."""
    if isinstance(value, dict):
        of_job = "folder" in value and not value.keys().isdisjoint(("checkpoint", "checkpoints"))
        return of_job or any(names_checkpoints(one) for one in value.values())
    return isinstance(value, list) and any(names_checkpoints(one) for one in value)


def needed_by(run: Run) -> list[str]:
    """Which other runs need it, each with the file that says so."""
    # Not as the beginning or end of another name: full-1a2b3c4d, full-1a2b3c4d-rerun-1.
    name = re.compile(rb"(?<![\w.-])" + re.escape(run.name).encode() + rb"(?![\w.-])")
    found = []
    for folder in all_runs(run.folder.parent.parent):
        if folder.resolve() == run.folder:
            continue
        place = naming(folder, name) or leading(folder, run.folder)
        if place is not None:
            other = f"{folder.parent.name}/{folder.name}"
            found.append(f"{other} needs it ({place.relative_to(folder)})")
    return found


def naming(folder: Path, name: re.Pattern[bytes]) -> Path | None:
    """The first file of a run that names another one."""
    for path in documents(folder):
        with contextlib.suppress(OSError):
            if name.search(content_of(path)):
                return path
    return None


def documents(folder: Path) -> Iterator[Path]:
    """What decides what a run's jobs read: its own files, then those of its jobs."""
    # What it is called at trackers is no path to anything.
    yield from sorted(path for path in folder.glob("*.json") if path.name != TRACKERS)
    yield from sorted(folder.glob("jobs/*/*.json"))
    # Files of its own, but logs and launches of the job that they are of lie in the other run.
    yield from sorted(folder.glob(f"jobs/*/{OUT}/{REUSED}"))


def leading(folder: Path, target: Path) -> Path | None:
    """The first link of a run's jobs that leads into another run."""
    for path in (*folder.glob("jobs/*"), *folder.glob(f"jobs/*/{OUT}"), *folder.glob("models/*/*")):
        if path.is_symlink() and path.resolve().is_relative_to(target):
            return path
    return None
