"""Lock files: made for this user alone, waited for within bounds, with the name of who has one.

In: a path, and how long to wait. Out: the open file, locked until it is closed; a RunError that
names the holder. Called by the lock of a run (lock.py), by what counts calls of Slurm, and by the
slots of the cluster `local`.

Whoever may read a file may take a shared lock on it, which keeps the owner's exclusive one away.
So nobody else may even read a lock file, but for the group of a folder that is a group's.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pwd
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from orchestrator.errors import RunError
from orchestrator.folders import cache_folder

ALONE, OF_GROUP = 0o600, 0o660
"""Modes of a lock file."""
LOCK_SECONDS = 60.0
"""How long to wait for another orch process that has a lock."""
HELD = (errno.EAGAIN, errno.EACCES)
"""What a lock says that somebody else has (POSIX allows both); anything else is no answer."""
LOCKS = Path("/proc/locks")
"""A line for each lock on this machine: proc(5)."""
COMMAND_SHOWN = 80
"""So much of the command of a process is shown."""
RUNS = "ORCH_RUNS"
"""Variable that says where runs lie."""


@contextlib.contextmanager
def locked_file(
    path: Path, seconds: float = LOCK_SECONDS, mode: int = ALONE, moved_by: str = RUNS
) -> Iterator[IO[str]]:
    """A lock file, opened to be read and written, and held until the block ends or the process is
    killed. RunError if somebody keeps it for so long, or there are no locks here.

    Args:
        moved_by: the variable that leads to another file system.
    """
    with opened(path, mode) as file:
        take(file, path, seconds, moved_by)
        yield file


def made_cache_folder() -> Path:
    """The cache folder, made where it is not there, for this user alone. RunError if it cannot
    be."""
    path = cache_folder()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be made ({error.strerror}); orch counts its calls of Slurm and shares "
            "this machine there: set ORCH_CACHE to a folder that you may write to"
        ) from error
    return path


def opened(path: Path, mode: int = ALONE) -> IO[str]:
    """A lock file, made where there is none. RunError where a link lies in its place, or what is no
    file: it may lead to one that somebody else has locked."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, mode)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR):
            raise RunError(f"{path}: not a file, but where a lock file should be: rm it") from error
        raise
    known = os.fstat(descriptor)
    if not stat.S_ISREG(known.st_mode):
        os.close(descriptor)
        raise RunError(f"{path}: not a file, but where a lock file should be: rm it")
    # An older version has let everybody read it.
    if known.st_uid == os.geteuid() and stat.S_IMODE(known.st_mode) & ~mode:
        os.fchmod(descriptor, mode)
    # "r+" keeps what stands in it until the lock is ours; that may be anything.
    return os.fdopen(descriptor, "r+", errors="replace")


def take(file: IO[str], path: Path, seconds: float, moved_by: str) -> None:
    """Wait for the lock of an open file: a POSIX lock, which NFS passes on to the server."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            # Asked for again and again: a call that waits could not give up and name the holder.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in HELD:
                raise RunError(
                    f"{path}: no lock can be had here ({error.strerror}, "
                    f"{errno.errorcode.get(error.errno or 0, error.errno)}): set {moved_by} to a "
                    "folder on a file system with POSIX locks, or have it mounted with them"
                ) from error
            if time.monotonic() > deadline:
                raise RunError(
                    f"{path}: {holder(path)} has had the lock for {seconds:.0f} s; "
                    "wait for it, or end it"
                ) from error
            time.sleep(min(0.05, seconds))


def holder(path: Path) -> str:
    """Who has a lock on a file: the processes of this machine that do, else whoever has noted it
    there last, which may be on another machine."""
    known = [said for pid in holders(path) if (said := process(pid))]
    if known:
        return " and ".join(known)
    try:
        with path.open(errors="replace") as file:
            noted = file.readline(200).strip()
    except OSError:
        noted = ""
    return noted if noted.isprintable() and noted else "another process"


def holders(path: Path) -> list[int]:
    """The processes of this machine that have a lock on a file; none where the system does not
    say."""
    try:
        known = path.stat()
        lines = LOCKS.read_text().splitlines()
    except OSError:
        return []
    file = f"{os.major(known.st_dev):02x}:{os.minor(known.st_dev):02x}:{known.st_ino}"
    found = []
    for line in lines:
        # `1: POSIX  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`; with `->` before the kind it waits.
        words = line.split()
        if "->" not in words and file in words and words[4].isdigit():
            found.append(int(words[4]))
    return list(dict.fromkeys(pid for pid in found if pid != os.getpid()))


def process(pid: int) -> str:
    """A process for people: its number, its command and, if that is somebody else, its user; empty
    if it is gone."""
    try:
        owner = Path(f"/proc/{pid}").stat().st_uid
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return ""
    command = words.decode(errors="replace").strip()[:COMMAND_SHOWN]
    shown = "".join(letter if letter.isprintable() else "?" for letter in command)
    of_whom = "" if owner == os.geteuid() else f" of {name_of(owner)}"
    return f"process {pid}{f' ({shown})' if shown else ''}{of_whom}"


def name_of(user: int) -> str:
    """The name of a user, or the number where it has none here."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
