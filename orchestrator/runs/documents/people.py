"""Run folders that several people use: whose run it is, who may enter it, and what the group may
write.

In: the folder of a run, or that of all runs. Out: the name of its owner where that is somebody
else, and modes that keep a user's run the user's and a group's folder a group's. Called by
`Run.lock`, by whatever makes the folder of a run, and by whoever looks at a run.

A run has one owner, whose account its jobs run under: Slurm shows each user their own jobs alone,
and what it does not show would be taken for gone. Others look at its files, where the folder of the
runs says that they may: by its set-group-id bit (``chmod g+rxs`` or ``g+ws``).
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import RunError
from orchestrator.runs.documents.lock_files import ALONE, OF_GROUP, name_of

NOBODY = 65534
"""Owner of every file where the file server does not tell who owns it."""


def other_owner(run_folder: Path) -> str | None:
    """Who has launched the run, if that is somebody else; None: this user, or nobody knows."""
    try:
        owner = (run_folder / "plan.json").stat().st_uid
    except OSError:
        return None
    return None if owner in (os.geteuid(), NOBODY) else name_of(owner)


def is_shared(runs: Path, right: int) -> bool:
    """Whether the folder of the runs was given to others with this right: the bit for the group is
    set beside the set-group-id bit. A mere 0755 is what any umask makes of a folder, and asks for
    nothing."""
    try:
        mode = runs.stat().st_mode
    except OSError:
        return False
    return bool(mode & stat.S_ISGID and mode & right)


def make_run_folder(folder: Path, runs: Path) -> None:
    """Make the folder of a run: of this user alone (0700), unless the folder of the runs is shared;
    then by its umask. One that is there keeps its mode. RunError if somebody else has put a link or
    a folder in its place, through which they could have other files written or change what runs."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Folders of an experiment belong to whoever has launched it first.
    if folder.parent.is_symlink():
        refuse_planted(folder.parent)
    mode = 0o777 if is_shared(runs, stat.S_IRGRP) else 0o700
    folder.mkdir(mode=mode, exist_ok=True)
    refuse_planted(folder)


def refuse_planted(path: Path) -> None:
    """RunError if a link or folder is somebody else's."""
    owner = path.lstat().st_uid
    if owner not in (os.geteuid(), NOBODY):
        raise RunError(
            f"{path}: was made by {name_of(owner)}, and not for a run of yours: have it removed, "
            "or set ORCH_RUNS to a folder of your own"
        )


def lock_mode(runs: Path) -> int:
    """The mode of a run's lock files: nobody else can take a lock on what they cannot open."""
    return OF_GROUP if is_shared(runs, stat.S_IWGRP) else ALONE


@contextlib.contextmanager
def group_may_write(runs: Path) -> Iterator[None]:
    """Make files that the group may write, where the folder of the runs is a group's: writable by
    it, with the set-group-id bit (``chmod g+ws``). Jobs get the same umask of their submission."""
    if not is_shared(runs, stat.S_IWGRP):
        yield
        return
    before = os.umask(0)
    os.umask(before & ~0o070)
    try:
        yield
    finally:
        os.umask(before)
