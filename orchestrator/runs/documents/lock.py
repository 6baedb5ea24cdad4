"""The lock of a run: one process at a time changes it.

In: a run's folder. Out: the lock, held until the block ends; a RunError that says why it cannot be
had. Called through `Run.lock` by everything that changes a run, and by ``create_run``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import RunError
from orchestrator.runs.copies.origin import read_origin
from orchestrator.runs.documents.lock_files import locked_file
from orchestrator.runs.documents.people import group_may_write, lock_mode, other_owner

NAME = "state.lock"
GONE = "is gone: the run was moved or removed; orch list shows the runs that are there"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder. RunError names who has it after a minute, or why there is
    none; of a copy, and of somebody else's run, nothing is changed at all."""
    origin = read_origin(folder)
    if origin is not None:
        raise RunError(
            f"{folder} is a copy of {origin.source}: the run lives there, and is launched, "
            "cancelled and retried there alone"
        )
    owner = other_owner(folder)
    if owner is not None:
        raise RunError(
            f"{folder} is a run of {owner}, whose jobs only {owner} can see and change; run it "
            "yourself: orch rerun with ORCH_RUNS set to a folder of your own"
        )
    if not folder.is_dir():
        raise RunError(f"{folder} {GONE}")
    runs = folder.parent.parent
    with (
        group_may_write(runs),
        locked_file(folder / NAME, mode=lock_mode(runs)) as file,
    ):
        # The lock goes when the file is closed, also by a kill; the name stays, and means nothing
        # then. A full disk has no room for it; nothing else needs it.
        with contextlib.suppress(OSError):
            holder = f"orch on {os.uname().nodename}, process {os.getpid()}".encode()
            # Cut afterwards: ext4 forces a file to disk that was cut to nothing first.
            os.pwrite(file.fileno(), holder, 0)
            os.ftruncate(file.fileno(), len(holder))
        yield
