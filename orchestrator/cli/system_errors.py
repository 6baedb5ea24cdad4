"""What the operating system refused, as one line with what to do.

In: an OSError that no part of the program has taken for its own. Out: the line, or None where it is
not the surroundings that are wrong. Called by ``orchestrator.cli.__main__``, which alone sees every
one of them: any file and any program may meet a full disk.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from orchestrator.folders import runs_root
from orchestrator.runs.documents.lock import GONE

ADVICE = {
    errno.ENOSPC: "make room (df -h, df -i), then the same command again",
    errno.EDQUOT: "make room or ask for more (quota -s), then the same command again",
    errno.EROFS: "set ORCH_RUNS (and ORCH_CACHE) to a folder that may be written to",
    errno.EACCES: (
        "it, or its folder, belongs to somebody else (ls -ld): work in a folder of your own "
        "(ORCH_RUNS), or have its owner let your group write (chmod -R g+w, and g+s for folders)"
    ),
    errno.EPERM: "the system does not allow it to this user: ls -ld and lsattr say more",
    errno.ESTALE: (
        "the file server has replaced it or was restarted: the same command again; if that does "
        "not help, leave the folder and enter it again"
    ),
    errno.EIO: "the disk or the file server fails; dmesg, or its administrator, knows more",
    errno.ENOSYS: "the file system cannot do this: set ORCH_RUNS (and ORCH_CACHE) to another one",
    errno.EOPNOTSUPP: (
        "the file system cannot do this: set ORCH_RUNS (and ORCH_CACHE) to another one"
    ),
    errno.ENOLCK: "no locks on this file system: set ORCH_RUNS (and ORCH_CACHE) to another one",
    errno.ENAMETOOLONG: (
        "set ORCH_RUNS to a folder with a shorter path, or give the experiment a shorter name"
    ),
    errno.EMFILE: "ulimit -n 4096, then the same command again",
    errno.ENFILE: "this machine has too many files open: try again later",
    errno.EAGAIN: (
        "this user or machine may start no more processes (ulimit -u): end some (ps ux), then the "
        "same command again"
    ),
    errno.ENOMEM: "no memory is left: end something, or work on another machine",
    errno.EFBIG: "files may not grow so large here: ulimit -f, or make room",
    errno.ENOTCONN: "the file server is gone: wait, or ask its administrator",
    errno.EHOSTDOWN: "the file server is down: wait, or ask its administrator",
    errno.ETIMEDOUT: "the file server does not answer: wait, then the same command again",
    errno.ELOOP: "links lead in a circle (ls -l): remove one of them",
}
"""What to do about what the surroundings may refuse."""
DRAFT = re.compile(r"(?:(?<=/)|^)\.([^/]+)\.\d+\.tmp$")
"""What a file is called while it is written; a person knows it by its name."""
CHANGED = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENOTEMPTY,
    errno.EINVAL,
    errno.ENXIO,
)
"""A file or folder of a run is not as orch left it."""


def sentence(error: OSError) -> str | None:
    """The line for an error; None: a mistake of the program."""
    if not folder_is_there():
        return "the folder that orch was called in is gone: cd to one that is there, and try again"
    name, number = named(error), error.errno
    if number is None:
        return None
    said = error.strerror or os.strerror(number)
    where = f"{name}: {said}" if name else said
    if number in ADVICE:
        return f"{where}: {ADVICE[number]}"
    if number in CHANGED and name and is_of_a_run(name):
        return (
            f"{where}: the run's folder was changed by something else: put it back, or orch launch "
            "the experiment again"
        )
    gone = vanished_run(name) if name and number == errno.ENOENT else None
    if gone is not None:
        return f"{gone} {GONE}"
    place = in_place_of_folder(name) if name and number in (errno.EEXIST, errno.ENOTDIR) else None
    if place is not None:
        return (
            f"{place}: should be a folder, and is a file or a link that leads nowhere: move it "
            "away, or name another folder (ORCH_RUNS, ORCH_CACHE, an option of the command)"
        )
    return None


def vanished_run(name: str) -> Path | None:
    """The folder of the run that a path lies in, where there is none any more; None: it is there,
    or the path lies in none."""
    root, path = runs_root(), Path(name).absolute()
    parts = path.relative_to(root).parts if path.is_relative_to(root) else ()
    run = root.joinpath(*parts[:2])
    return run if len(parts) > 2 and not run.exists() else None


def in_place_of_folder(name: str) -> Path | None:
    """What stands where a path has a folder, and is none; None: nothing."""
    path = Path(name).absolute()
    places = (*reversed(path.parents), path)
    return next((one for one in places if os.path.lexists(one) and not one.is_dir()), None)


def folder_is_there() -> bool:
    """Whether the working folder exists."""
    try:
        return os.path.isdir(os.getcwd())  # noqa: PTH109, PTH112  # of a folder that may be gone
    except OSError:
        return False


def named(error: OSError) -> str:
    """The file that an error names; of a renaming the name that was to be had."""
    name = error.filename2 or error.filename
    return DRAFT.sub(r"\1", os.fsdecode(name)) if isinstance(name, str | bytes) else ""


def is_of_a_run(name: str) -> bool:
    """Whether a path lies in the folder of a run."""
    path = Path(name).absolute()
    return any((folder / "plan.json").exists() for folder in path.parents)
