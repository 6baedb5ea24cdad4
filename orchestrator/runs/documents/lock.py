"""The lock of a run: one process at a time changes it.

In: a run's folder. Out: the lock, held until the block ends; a RunError that says why it cannot be
had. Called through `Run.lock` by everything that changes a run, and by ``create_run``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from orchestrator.errors import RunError
from orchestrator.runs.copies.origin import read_origin
from orchestrator.runs.documents.people import group_may_write, other_owner

LOCK_SECONDS = 60.0
"""How long to wait for another orch process that has the run's lock."""
HELD = (errno.EAGAIN, errno.EACCES)
"""What a lock says that somebody else has (POSIX allows both); anything else is no answer."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder: a POSIX lock, which NFS passes on to the server. RunError
    names who has it after a minute, or why there is none; of a copy, and of somebody else's run,
    nothing is changed at all."""
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
    path = folder / "state.lock"
    # "a+" leaves the holder's name in the file until the lock is ours.
    with group_may_write(folder.parent.parent), path.open("a+") as file:
        take(file, path)
        # The lock goes when the file is closed, also by a kill; the name stays, and means nothing
        # then. A full disk has no room for it; nothing else needs it.
        with contextlib.suppress(OSError):
            os.ftruncate(file.fileno(), 0)
            holder = f"orch on {socket.gethostname()}, process {os.getpid()}"
            os.write(file.fileno(), holder.encode())
        yield


def take(file: IO[str], path: Path) -> None:
    """Wait for the lock of an open file. RunError if somebody keeps it, or there are no locks."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            # Asked for again and again: a call that waits could not give up and name the holder.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in HELD:
                raise RunError(
                    f"{path}: no lock can be had here ({error.strerror}, "
                    f"{errno.errorcode.get(error.errno or 0, error.errno)}): set ORCH_RUNS to a "
                    "folder on a file system with POSIX locks, or have it mounted with them"
                ) from error
            if time.monotonic() > deadline:
                holder = path.read_text().strip() or "another orch process"
                raise RunError(
                    f"{path}: {holder} has had the lock for {LOCK_SECONDS:.0f} s; "
                    "wait for it, or end it"
                ) from error
            time.sleep(0.05)
