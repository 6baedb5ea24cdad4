"""A run whose folder was moved or copied since its plan was written: its paths are based anew.

In: what ``plan.json`` holds, and where it lies now. Out: the same with the paths of this place.
``plan_file.read_plan`` calls it for every run that is opened; ``attempts.prepare`` writes it down
before anything is submitted from the new place.

Paths below the run's folder lead to the new one, those to other runs of the same folder of runs to
their namesakes beside it, where there are any. A copy whose original is still there gets a uid of
its own: by it the scheduler's jobs of the two are told apart.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.planning.plan import Plan, moved

COPY = "copy.json"
"""Is in the folder of a run that lives elsewhere (orchestrator/runs/copies/origin.py)."""


def place_before(plan: Plan, written_in: str, here: Path) -> str:
    """The folder that a plan's paths were written for; "" if none of them says."""
    if written_in:
        return written_in
    # An older version wrote down no folder: the paths to other jobs of the run tell it.
    end = f"/{here.parent.name}/{here.name}/"
    for job in plan.jobs:
        for text in texts(job.config):
            before, found, _ = text.partition(f"{end}jobs/")
            if found and before.startswith("/"):
                return before + end[:-1]
    return ""


def texts(value: Any) -> Iterator[str]:
    """Every text in a config."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def is_elsewhere(before: str, here: Path) -> bool:
    """Whether a folder is another one than that which the paths were written for, and not the same
    by another name."""
    if not before or before == str(here):
        return False
    try:
        return not os.path.samefile(before, here)  # noqa: PTH121
    except OSError:  # it is gone from there
        return True


def based_anew(plan: Plan, before: str, here: Path) -> Plan:
    """The plan with the paths of its new place."""
    jobs = []
    for job in plan.jobs:
        jobs.append(replace(job, config=paths_here(job.config, before, here)))
    return replace(plan, jobs=tuple(jobs))


def paths_here(value: Any, before: str, here: Path) -> Any:
    """A document with the paths of the new place: of the run, and of runs beside it."""
    value = placed(value, before, str(here))
    root_before, root = str(Path(before).parent.parent), here.parent.parent
    for run in sorted(namesakes(value, root_before)):
        if (root / run).is_dir():
            value = placed(value, f"{root_before}/{run}", f"{root}/{run}")
    return value


def placed(value: Any, before: str, here: str) -> Any:
    """A document with one folder in place of another one, itself and what lies in it."""
    if isinstance(value, dict):
        return {key: placed(item, before, here) for key, item in value.items()}
    if isinstance(value, list):
        return [placed(item, before, here) for item in value]
    # Only at the start of a text, as of ``moved``.
    return here if value == before else moved(value, before, here)


def namesakes(value: Any, root: str) -> set[str]:
    """The runs of a folder of runs that a document names, as ``experiment/run``."""
    found = set()
    for text in texts(value):
        parts = text.removeprefix(f"{root}/").split("/") if text.startswith(f"{root}/") else []
        if len(parts) > 1:
            found.add("/".join(parts[:2]))
    return found


def folder_here(cwd: str, before: str, here: Path) -> str:
    """Where a run was launched: where that was, or, if it is gone, where it lies now, seen from the
    run's folder."""
    if not cwd or os.path.isdir(cwd):  # noqa: PTH112
        return cwd
    now = os.path.normpath(here / os.path.relpath(cwd, before))
    return now if os.path.isdir(now) else cwd  # noqa: PTH112


def uid_here(uid: str, uid_before: str | None, here: Path) -> str:
    """The uid of a run that was moved; of a copy whose original is still there one of its own.

    Args:
        uid_before: that of the run which lies where this one did; None if none does.
    """
    if uid_before != uid or (here / COPY).exists():
        return uid
    return hashlib.sha256(f"{uid} {here}".encode()).hexdigest()[: len(uid)]
