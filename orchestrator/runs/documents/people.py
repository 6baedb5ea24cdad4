"""Run folders that several people use: whose run it is, and what the group may write.

In: the folder of a run, or that of all runs. Out: the name of its owner where that is somebody
else, and an umask that keeps a group's folder a group's. Called by `Run.lock`, by ``create_run``
and by whoever looks at a run.

A run has one owner, whose account its jobs run under: Slurm shows each user their own jobs alone,
and what it does not show would be taken for gone. Others look at its files.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

NOBODY = 65534
"""Owner of every file where the file server does not tell who owns it."""


def other_owner(run_folder: Path) -> str | None:
    """Who has launched the run, if that is somebody else; None: this user, or nobody knows."""
    try:
        owner = (run_folder / "plan.json").stat().st_uid
    except OSError:
        return None
    if owner in (os.geteuid(), NOBODY):
        return None
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return f"user {owner}"


@contextlib.contextmanager
def group_may_write(runs: Path) -> Iterator[None]:
    """Make files that the group may write, where the folder of the runs is a group's: writable by
    it, with the set-group-id bit (``chmod g+ws``). Jobs get the same umask of their submission."""
    try:
        mode = runs.stat().st_mode
    except OSError:
        mode = 0
    if not (mode & stat.S_ISGID and mode & stat.S_IWGRP):
        yield
        return
    before = os.umask(0)
    os.umask(before & ~0o070)
    try:
        yield
    finally:
        os.umask(before)
