"""What `orch status` has printed of a run that is over, kept for the next look at it.

In: the command line as it is, the environment, and the files that an answer was made of, with those
of the program. Out: the same text again, as long as none of all that has changed; else nothing, and
whoever asked makes the answer anew. Called by ``orchestrator.cli.__main__`` before anything else is
imported, and by `orch status`, which says of what an answer was made (``overview/settled.py``).

Arguments are compared and not read, so there is no second parser of them. What is kept lies in the
cache folder and may be removed at any time. Only modules that every Python has loaded at its start:
an import of any other takes longer than all that is done here.
"""

from __future__ import annotations

import os
import sys

from orchestrator import folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import IO

FOLDER = "looks"
"""In the cache folder."""
MOST_KEPT = 64
"""Answers; the oldest go."""
MOST_FILES = 2000
"""Files that one answer may hang on: to look at more takes longer than to make it anew."""
YOUNG_SECONDS = 2.0
"""A file that was changed so short a time before the look may have been changed once more within
the same tick of its file system's clock, and would look the same."""
VARIABLES = (
    *("ORCH_RUNS", "COLUMNS", "LINES", "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR"),
    *("TTY_COMPATIBLE", "TTY_INTERACTIVE", "LANG", "LC_ALL", "LC_CTYPE", "JPY_PARENT_PID"),
    *("TZ", "PYTHONIOENCODING", "PYTHONUTF8", "JUPYTER_COLUMNS", "JUPYTER_LINES"),
)
"""What a text on a screen hangs on, and where runs lie."""


def question() -> str:
    """All that an answer hangs on besides files, on one line: what was typed and where, and the
    screen."""
    screens = []
    for stream in (0, 1, 2):
        size = tuple(os.get_terminal_size(stream)) if os.isatty(stream) else None
        screens.append(size)
    said = [os.environ.get(name) for name in VARIABLES]
    encoding = getattr(sys.stdout, "encoding", "")
    return ascii((sys.argv[1:], os.getcwd(), sys.version, encoding, screens, said))


def place(asked: str) -> str:
    """The file of an answer. Two questions may have the same, as it holds the question too."""
    # hash() differs from process to process; this prime keeps the number short.
    number = int.from_bytes(asked.encode(), "big") % (2**61 - 1)
    return f"{folders.cache_place()}/{FOLDER}/{number:x}"


def facts_of(path: str) -> str:
    """What changes when a file does: a dash for one that is not there."""
    try:
        known = os.stat(path)
    except OSError:
        return "-"
    return f"{known.st_mtime_ns} {known.st_size} {known.st_ino}"


def answered() -> bool:
    """Print what was kept for this very command line; False if there is nothing that still
    holds."""
    try:
        asked = question()
        with open(place(asked), encoding="utf-8", newline="") as file:
            own = os.fstat(file.fileno()).st_uid == os.geteuid()
            head, _, text = file.read().partition("\n\n")
    except (OSError, ValueError):
        return False
    noted, *files = head.split("\n")
    if not own or noted != asked or not text:
        return False
    for line in files:
        facts, _, path = line.partition("\t")
        if facts_of(path) != facts:
            return False
    sys.stdout.write(text)
    sys.stdout.flush()
    return True


def keep(asked: str, sources: Iterable[str], began: float, text: str) -> None:
    """Keep an answer, unless a file that it was made of has only just been changed.

    Args:
        asked: as ``question`` has said when the command began.
        sources: files and folders, also those that are not there.
        began: when the command began to read them, in Unix seconds.
    """
    paths = list(dict.fromkeys([*sources, *program_files()]))
    newest = int((began - YOUNG_SECONDS) * 1e9)
    lines = [asked]
    for path in paths:
        facts = facts_of(path)
        changed = 0 if facts == "-" else int(facts.partition(" ")[0])
        if changed > newest or "\n" in path:
            return
        lines.append(f"{facts}\t{path}")
    if len(paths) > MOST_FILES or not text:
        return
    # It is kept to save time, and no more: without room for it all goes on.
    try:
        write(place(asked), "\n".join(lines) + f"\n\n{text}")
    except (OSError, ValueError):
        return


def program_files() -> list[str]:
    """The files of ours that this process has loaded: another version may answer otherwise."""
    found = []
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if path and name.partition(".")[0] in ("orchestrator", "jobs", "engines"):
            found.append(path)
    return found


def write(path: str, content: str) -> None:
    """Write the file of an answer by rename, for this user alone, and drop the oldest ones."""
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    draft = f"{path}.{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(content)
    os.replace(draft, path)
    with os.scandir(folder) as entries:
        by_age = sorted((entry.stat().st_mtime, entry.path) for entry in entries)
    for _, old in by_age[:-MOST_KEPT]:
        os.unlink(old)


class Copied:
    """Standard output that remembers what is written to it; used as a context manager."""

    def __init__(self) -> None:
        self.stream: IO[str] = sys.stdout
        self.parts: list[str] = []

    def __getattr__(self, name: str) -> object:
        """All else is the stream's: whether it is a terminal, its encoding."""
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write, and remember."""
        self.parts.append(text)
        return self.stream.write(text)

    def __enter__(self) -> Copied:
        sys.stdout = self
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout = self.stream
