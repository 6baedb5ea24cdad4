"""Try in the folder of the runs what a launch does there: write a file, lock it, link to it.

In: the folder. Out: one line for each thing that its file system, or its rights, do not allow.
Called by orchestrator/checks/launch.py before anything is submitted.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

NOT_UTF8 = (
    "{}: the name of the folder is not UTF-8, and records of runs are: work in a folder with "
    "another name"
)
ELSEWHERE = "set ORCH_RUNS to a folder on another file system"


def is_utf8(path: Path) -> bool:
    """Whether a path can stand in a text; Python has other bytes as halves of characters."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def file_system(runs: Path) -> Iterator[str]:
    """What cannot be done where the runs will lie."""
    folder = runs.resolve()
    odd = next((place for place in (folder, Path.cwd()) if not is_utf8(place)), None)
    if odd is not None:
        yield NOT_UTF8.format(ascii(str(odd)))
        return
    # The first launch makes the folder itself.
    while not folder.exists():
        folder = folder.parent
    own = folder / f".orch-check-{os.getpid()}"
    other, third = (own.with_name(f"{own.name}-{number}") for number in (2, 3))
    try:
        file = own.open("x")
    except OSError as error:
        yield (
            f"{folder}: nothing can be written there ({error.strerror}): set ORCH_RUNS to a folder "
            "that you may write to"
        )
        return
    with file:
        tried: tuple[tuple[str, Callable[[], None]], ...] = (
            ("a lock", lambda: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)),
            ("a hard link", lambda: os.link(own, other)),
            ("a symbolic link", lambda: os.symlink(own.name, third)),  # noqa: PTH211  # as above
        )
        for what, do in tried:
            try:
                do()
            except OSError as error:
                name = errno.errorcode.get(error.errno or 0, "no number")
                yield (
                    f"{folder}: {what} cannot be had there ({error.strerror}, {name}), and runs "
                    f"need it: {ELSEWHERE}"
                )
                break
    for path in (own, other, third):
        with contextlib.suppress(OSError):
            path.unlink()
