"""The ``.ckpt`` files of Lightning's ModelCheckpoint.

In: where a Lightning program writes, and the points of its metrics.csv. Out: whole checkpoints, as
``reads/checkpoints.py`` takes them in. Called by ``kinds``.

A ``.ckpt`` is a zip archive with a pickle in it. A pickle is a program, so it is never loaded: the
archive's list of contents says whether it is whole, and step and epoch are read off the first words
of the pickle as text (``pickletools``, which runs nothing), else off the name. Lightning writes to
the system's temporary folder first and renames; where that is another file system the file is
copied into place, so that half a file is seen, and after a kill stays. Observed with Lightning
2.6.6.
"""

from __future__ import annotations

import os
import re

from orchestrator.node.reads.files import Place
from orchestrator.node.reads.series import Found, Point

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

ENDING = ".ckpt"
HEAD_BYTES = 4096
"""Of the pickle, whose first two keys are the epoch and the step."""
LAST = "last"
"""What the name of a copy of the newest one begins with; it may be an older run's."""


def add_checkpoints(found: Found, place: Place, better: dict[str, str]) -> None:
    """Add the whole checkpoints to what was found of the same program.

    Args:
        better: of each metric that the stage names, which values are: the best checkpoint goes by
            the first that it has.
    """
    measured: dict[int, dict[str, float]] = {}
    for point in found.points:
        measured.setdefault(point.step, {}).update(point.metrics)
    # In another life the same name is written again, into another folder.
    by_name: dict[str, dict[str, Any]] = {}
    for path in sorted(place.below(f"*{ENDING}"), key=written):
        one = read_checkpoint(path)
        if isinstance(one, str):
            found.problems.append(f"{place.shown(path)}: {one}")
            continue
        one["metrics"] = measured.get(one["step"], {})
        one |= ranked_by(one["metrics"], better)
        by_name[one["name"]] = one
    named = {one["step"] for name, one in by_name.items() if not name.startswith(LAST)}
    for name, one in by_name.items():
        if not (name.startswith(LAST) and one["step"] in named):
            found.checkpoints.append(one)
            # Without a logger that is read, this is what tells how far it is.
            found.points.append(Point(one["step"], {}, written(one["file"]), None))


def written(path: str) -> float:
    """When a file was written; the beginning of time if it has been removed."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def read_checkpoint(path: str) -> dict[str, Any] | str:
    """One checkpoint; in words why it is none."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if not pickles:
                return "a zip archive, but not one that torch has written"
            with archive.open(pickles[0]) as file:
                known = numbers_in(file.read(HEAD_BYTES))
    except (zipfile.BadZipFile, OSError, EOFError):
        # Its list of contents is at its end.
        return (
            "not a whole file: being written, or its copy was cut short (is TMPDIR on another "
            "file system?)"
        )
    name = os.path.basename(path).removesuffix(ENDING)
    step = known.get("global_step", number_in_name(name, "step"))
    if step is None:
        return "neither its first words nor its name tell a step"
    epoch = known.get("epoch", number_in_name(name, "epoch")) or 0
    return {"name": name, "step": step, "epoch": epoch, "file": os.path.abspath(path)}


def numbers_in(head: bytes) -> dict[str, int]:
    """``epoch`` and ``global_step``, as far as the first words of the pickle tell them."""
    found: dict[str, int] = {}
    key = ""
    for word in words_of(head):
        if isinstance(word, str):
            key = word
        elif key in ("epoch", "global_step"):
            found.setdefault(key, word)
            key = ""
        if len(found) == 2:
            break
    return found


def words_of(head: bytes) -> Iterator[str | int]:
    """Texts and whole numbers of a pickle, in order, up to where it is cut off."""
    import pickletools

    try:
        for code, argument, _ in pickletools.genops(head):
            if isinstance(argument, str) or (
                type(argument) is int and code.name.startswith(("BININT", "INT", "LONG"))
            ):
                yield argument
    # Whatever a damaged one raises.
    except Exception:
        return


def number_in_name(name: str, key: str) -> int | None:
    """The number behind ``step=``, as ModelCheckpoint writes it into names."""
    match = re.search(rf"(?:^|[-_])(?:\w*[-_])?{key}=(\d+)", name)
    return int(match[1]) if match else None


def ranked_by(metrics: dict[str, float], better: dict[str, str]) -> dict[str, str | None]:
    """Which metric says what the best checkpoint is: the first that the stage names."""
    for name, direction in better.items():
        if name in metrics:
            return {"rank_by": name, "better": direction}
    return {"rank_by": None, "better": None}
