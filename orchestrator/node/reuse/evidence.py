"""What a job has left and whether the files that it reads stayed as they were, so that another run
may take its results in place of running it again.

In: ``basis.json`` in the attempt's folder, a link to the list of files as they were when it was
submitted (orchestrator/runs/reuse/basis.py); the job's output folder. Out, beside it:

    left.json      every file of the output folder with size, time and, of small ones, SHA-256;
                   written before the exit record, and only of a job with results
    changed.json   files of the list that were another when a start began or ended; once there it
                   stays

Called by attempt.py; ``unlike`` also by orch before it takes a result. The standard library alone.
"""

from __future__ import annotations

import os
import time

from orchestrator.node.light.standard import sha256, suppress
from orchestrator.node.system import read_json, write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    AnyPath = str | os.PathLike[str]

BASIS, LEFT, CHANGED = "basis.json", "left.json", "changed.json"
LIVE = ("cost.json", "reused.json")
"""What is written into an output folder after the job has ended."""
SMALL_BYTES = 1 << 20
"""Files up to this size are compared by content; of larger ones size and time have to do."""
SAME_SECONDS = 0.001
"""Times that differ by less are the same: an archive keeps no nanoseconds."""
MOST_CHANGED = 5
"""Files that are named."""


def sha256_of(path: AnyPath) -> str:
    """The content of a file."""
    digest = sha256()
    with open(path, "rb") as file:
        while block := file.read(SMALL_BYTES):
            digest.update(block)
    return str(digest.hexdigest())


def left_in(out: str) -> dict[str, list[Any]]:
    """Every file below a folder by its path in it: ``[size, time, hash]``, the hash empty for a
    large one; of a link ``["link", target]``."""
    found: dict[str, list[Any]] = {}
    for place, folders, names in os.walk(out):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        for name in [*names, *links]:
            path = os.path.join(place, name)
            key = os.path.relpath(path, out)
            if key not in LIVE:
                found[key] = facts_of(path)
    return found


def facts_of(path: str) -> list[Any]:
    """The same of one file or link."""
    if os.path.islink(path):
        return ["link", os.readlink(path)]
    known = os.stat(path)
    small = known.st_size <= SMALL_BYTES
    return [known.st_size, known.st_mtime, sha256_of(path) if small else ""]


def is_facts(facts: Any) -> bool:
    """Whether this is what ``facts_of`` says of a file."""
    kinds = [type(one) for one in facts] if isinstance(facts, list) else []
    if kinds[:1] == [str]:
        return kinds == [str, str] and facts[0] == "link"
    return kinds[:1] == [int] and kinds[1:2] in ([int], [float]) and kinds[2:] == [str]


def unlike(path: str, facts: list[Any]) -> str:
    """How a file differs from what was left, in words; empty if it does not."""
    if not os.path.lexists(path):
        return "is gone"
    if facts[0] == "link":
        same = os.path.islink(path) and os.readlink(path) == facts[1]
        return "" if same else "has changed"
    if os.path.islink(path) or not os.path.isfile(path):
        return "has changed"
    known = os.stat(path)
    if known.st_size != facts[0]:
        return "has changed"
    if facts[2]:
        return "" if sha256_of(path) == facts[2] else "has changed"
    return "" if abs(known.st_mtime - facts[1]) < SAME_SECONDS else "has changed"


def note_changed(attempt: str) -> None:
    """Look whether the files that the job reads are as they were when it was submitted."""
    path = os.path.join(attempt, BASIS)
    if not os.path.exists(path):
        return
    try:
        files = read_json(path)["files"]
        changed = [name for name, facts in files.items() if is_another(name, *facts)]
    except (ValueError, KeyError, TypeError, AttributeError):
        # Whether they are the same cannot be known.
        changed = [path]
    if changed:
        write_json(
            os.path.join(attempt, CHANGED),
            {"files": changed[:MOST_CHANGED], "count": len(changed), "time": time.time()},
        )


def is_another(path: str, size: int, time_ns: int, content: str) -> bool:
    """Whether a file has changed. One of which only the time has is read, unless it is large."""
    try:
        known = os.stat(path)
        if (known.st_size, known.st_mtime_ns) == (size, time_ns):
            return False
        return not content or known.st_size != size or sha256_of(path) != content
    except OSError:
        return True


def note_end(attempt: str, out: str, token: str) -> None:
    """Look at the files that the job has read, and write down what it has left under this token;
    without a token it has left no results."""
    # A full disk: where nothing is noted nobody takes anything, and the exit record goes before.
    with suppress(OSError):
        note_changed(attempt)
        if token:
            note_left(attempt, out, token)


def note_left(attempt: str, out: str, token: str) -> None:
    """Write down what the job has left."""
    write_json(os.path.join(attempt, LEFT), {"token": token, "files": left_in(out)})
