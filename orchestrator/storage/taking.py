"""Take a run away, or its checkpoints alone, for `orch remove`.

In: a run that nothing needs (needs.py). Out: what was taken, or would be. Also what `orch archive`
needs of it: how large something is, and the removal once the archive is whole.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engines.contract.counting.counts import counted
from orchestrator.errors import RunError
from orchestrator.runs.layout import OUT
from orchestrator.runs.record import ACTIVE
from orchestrator.runs.run import Run
from orchestrator.storage.needs import CHECKPOINTS, reasons_to_stay

REMOVING = ".removing-"
"""In front of the name of a run that is being removed; what a kill leaves can be removed by it."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What was taken, or would be."""

    files: int
    bytes: int
    """Of files with several names once."""
    refused: list[str]
    """Why it stays, in words."""


def measured(folders: Iterable[Path], refused: list[str]) -> Taken:
    """How much lies below some folders."""
    files = size = 0
    seen: set[tuple[int, int]] = set()
    for path in files_below(folders):
        known = path.lstat()
        files += 1
        if known.st_nlink > 1:
            if (known.st_dev, known.st_ino) in seen:
                continue
            seen.add((known.st_dev, known.st_ino))
        size += known.st_size if stat.S_ISREG(known.st_mode) else 0
    return Taken(files=files, bytes=size, refused=refused)


def files_below(folders: Iterable[Path]) -> Iterator[Path]:
    """Every file and link below some folders, in a fixed order; links are not followed."""
    for folder in folders:
        if folder.is_symlink() or not folder.is_dir():
            yield folder
            continue
        for place, below, names in os.walk(folder):
            links = [name for name in below if (Path(place) / name).is_symlink()]
            below.sort()
            yield from (Path(place) / name for name in sorted([*names, *links]))


def checkpoint_folders(run: Run) -> list[Path]:
    """Where the checkpoints of its jobs lie, those of commands with the link to them."""
    found = []
    for job in run.plan.jobs:
        # A command writes below its own folder, and has a link to it beside its results.
        for out in run.job_folder(job).glob(f"{OUT}*"):
            found += [path for path in out.glob(CHECKPOINTS) if path.is_symlink() or path.is_dir()]
            found += [path for path in out.glob(f"*/{CHECKPOINTS}") if path.is_dir()]
    return found


def remove(run: Run, only_checkpoints: bool = False, dry_run: bool = False) -> Taken:
    """Remove a run for good, or its checkpoints alone; nothing where there is a reason to stay."""
    folders = checkpoint_folders(run) if only_checkpoints else [run.folder]
    found = measured(folders, reasons_to_stay(run, only_checkpoints))
    if dry_run or found.refused:
        return found
    if only_checkpoints:
        with run.lock():
            refuse_started(run)
            for folder in counted("removing checkpoints", folders):
                if folder.is_symlink():
                    folder.unlink()
                else:
                    shutil.rmtree(folder)
    else:
        remove_folder(run)
    return found


def refuse_started(run: Run) -> None:
    """RunError if a job has begun since it was looked at. With the lock held."""
    if any(record.state in ACTIVE for record in run.load()):
        raise RunError(f"{run.name}: a job was submitted meanwhile; nothing was removed")


def remove_folder(run: Run) -> None:
    """Remove the run's folder. It loses its name in one step, so that no half of a run is ever
    found under it."""
    aside = run.folder.with_name(f"{REMOVING}{run.folder.name}")
    with run.lock():
        refuse_started(run)
        run.folder.rename(aside)
    # Without the lock: NFS keeps a file that is open, and then its folder cannot go.
    parts = [path for path in aside.glob("jobs/*") if path.is_dir() and not path.is_symlink()]
    for part in counted("removing the jobs' files", parts):
        shutil.rmtree(part)
    shutil.rmtree(aside)
    with_siblings = any(aside.parent.iterdir())
    if not with_siblings:
        aside.parent.rmdir()
