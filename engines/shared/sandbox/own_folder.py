"""The folder of a program's own where there is no bubblewrap, and its removal.

``running.py`` makes it and removes it when all that the program started has ended."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def own_folder(user: int | None) -> Iterator[str]:
    """An empty folder that belongs to ``user`` (None: to us); afterwards it is not there. OSError
    if it cannot be removed."""
    folder = tempfile.mkdtemp(prefix="program-")
    if user is not None:
        os.chown(folder, user, user)
    try:
        yield folder
    finally:
        remove(folder)


def remove(folder: str) -> None:
    """Remove a folder in which nobody writes any more, however deep it is and whatever rights were
    taken from it."""
    top = os.open(folder, FOLDER)
    try:
        taken_up = 0
        while names := os.listdir(top):
            for name in names:
                if not stat.S_ISDIR(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
                    os.unlink(name, dir_fd=top)
                    continue
                # Folders inside are moved up beside it, so that nothing here is ever deep: the
                # removal needs two descriptors, and no recursion.
                taken_up = empty(name, top, taken_up)
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(folder)


def empty(name: str, top: int, taken_up: int) -> int:
    """Unlink the files of a folder of ``top`` and move its folders to ``top``; ``taken_up``: how
    many were moved so far."""
    allow(name, top)
    place = os.open(name, FOLDER, dir_fd=top)
    try:
        for inner in os.listdir(place):
            if not stat.S_ISDIR(os.stat(inner, dir_fd=place, follow_symlinks=False).st_mode):
                os.unlink(inner, dir_fd=place)
                continue
            # A folder that is moved is written to: its entry for the one above changes.
            allow(inner, place)
            taken_up = move_up(inner, place, top, taken_up)
    finally:
        os.close(place)
    return taken_up


def move_up(name: str, place: int, top: int, taken_up: int) -> int:
    """Move a folder from ``place`` to ``top`` under a name that is free there; how many were moved
    so far."""
    while True:
        taken_up += 1
        try:
            os.stat(str(taken_up), dir_fd=top, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(name, str(taken_up), src_dir_fd=place, dst_dir_fd=top)
            return taken_up


def allow(name: str, above: int) -> None:
    """Give a folder back the rights that its program may have taken from it."""
    place = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        # By the descriptor of this very folder: a name could be a link by now.
        if os.fstat(place).st_mode & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{place}", 0o700)
    finally:
        os.close(place)
