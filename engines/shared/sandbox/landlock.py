"""The sandbox where bubblewrap does not work: landlock for files, seccomp for system calls,
rlimits, and a supervisor that ends it.

Linux 6.12 and later: landlock before its sixth version lets a program send signals to every process
of its user. What is weaker than bubblewrap: whether a path exists can be seen, and the program's
folder lies on a real disk (64 MiB, looked at forty times a second).
"""

from __future__ import annotations

import ctypes
import functools
import inspect
import time
from pathlib import Path

from engines.shared.sandbox import seccomp, supervisor
from engines.shared.sandbox.installation import interpreter, numpy_folders, readable

LANDLOCK = supervisor.SCOPED
"""The oldest version of landlock that keeps signals inside."""
SPARE_PROCESSES = 512
"""Processes that the user may have beyond those that there are. The limit counts all that the user
runs, so it is no bound on one program (that is the supervisor's), only on what a fork bomb can do
until the supervisor looks. Not many thousands: on two cores such a bomb starved its
supervisor."""
COUNT_SECONDS = 2


def landlock_version() -> int:
    """The version of landlock of this kernel; 0 if there is none, or it is switched off."""
    # The last argument, 1, asks for the version instead of making a ruleset. -1 is an error.
    found = ctypes.CDLL(None).syscall(
        ctypes.c_long(supervisor.CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint(1)
    )
    return max(0, int(found))


def trouble() -> str | None:
    """Why this sandbox does not work here; None if nothing is known against it."""
    version = landlock_version()
    if version < LANDLOCK:
        return f"landlock of this kernel is version {version}, {LANDLOCK} is needed (Linux 6.12)"
    if seccomp.library() is None:
        return "libseccomp.so.2 is not installed"
    return None


@functools.lru_cache(maxsize=1)
def tasks_of(user: int, _moment: int) -> int:
    """Processes and threads that a user has on this machine; counted once a moment."""
    count = 0
    for place in Path("/proc").glob("[0-9]*/task"):
        try:
            status = place.stat()
        except OSError:  # it ended while we looked
            continue
        # A folder has two links and one more for each folder in it, here one per thread.
        count += status.st_nlink - 2 if status.st_uid == user else 0
    return count


def processes_of(user: int) -> int:
    """The limit of processes for a program: it counts all that the user runs on this machine, not
    only below the program, so it is relative to what runs now."""
    return tasks_of(user, int(time.monotonic() / COUNT_SECONDS)) + SPARE_PROCESSES


def readable_paths() -> list[str]:
    """What a program may read, numpy among it: it is where it is."""
    return [*readable(), *numpy_folders()]


def arguments(setting: str, leash: int, memory_gb: int) -> tuple[str, ...]:
    """The call of the supervisor. ``setting`` sets the limits and runs the program."""
    plan: supervisor.Plan = {
        "landlock": landlock_version(),
        "filter": seccomp.filter_program("landlock") or b"",
        "read": readable_paths(),
        "leash": leash,
        "memory": memory_gb << 30,
    }
    watched = f"{inspect.getsource(supervisor)}\nmain({plan!r})"
    return (str(interpreter()), "-I", "-S", "-c", f"exec({watched!r}, {{}})\n{setting}")
