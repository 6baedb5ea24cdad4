"""``bases.jsonl`` of a run: what the result of each submitted job hangs on, a line per submission.

In: lines that the pass has made. Out: a file that only grows, and the lines of other runs when a
launch looks for what has been done. A line is written before the scheduler is asked, so that no
job ever runs without one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Set
from pathlib import Path
from typing import IO

import msgspec

from orchestrator.runs.documents.damage import note
from orchestrator.runs.documents.reading import content_of

NAME = "bases.jsonl"


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One submission of one job, or one job that was taken from another run."""

    identity: str
    """That of the plan; first in a line, where it is found without reading the rest."""
    job: str
    folder: str
    """Relative to the run's folder."""
    digest: str
    """Of all that the result hangs on."""
    attempt: int = 0
    token: str = ""
    """Of the attempt; of a job that was taken that of the attempt which has done the work."""
    parts: dict[str, str] = {}
    files: str = ""
    """Name of the list of its files, in ``bases/``."""
    unknown: str = ""
    """Why nobody may take its results."""
    launch: int = 0
    """The launch that it was submitted by, as ``provenance/<n>`` has it; 0: an older version has
    noted none."""
    taken: bool = False
    """Whether it was taken from another run."""
    note: str = ""
    """Why a like job of another run was not taken, in words."""


IDENTITY = slice(len('{"identity":"'), len('{"identity":"') + 64)
"""Where in a line the identity stands."""
REMEDY = "left out, so that these jobs are not taken by other runs"
DECODER = msgspec.json.Decoder(Line)


def append(run_folder: Path, lines: Iterable[Line]) -> None:
    """Add lines, on disk when this returns. With the run's lock held."""
    text = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    if not text:
        return
    with (run_folder / NAME).open("a+b") as file:
        # A kill may have torn the last line: what is added must not continue it.
        if file.tell() and last_byte(file) != b"\n":
            text = b"\n" + text
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def last_byte(file: IO[bytes]) -> bytes:
    """What an open file ends in."""
    file.seek(-1, os.SEEK_END)
    return file.read(1)


def read(run_folder: Path, identities: Set[bytes] | None = None) -> list[Line]:
    """The lines of a run, oldest first; none of a run of an older version. What a kill has torn is
    left out: its job was not submitted. Other lines that cannot be read are left out and noted.

    Args:
        identities: only of jobs with these; None: of all. Of fifty runs of ten thousand jobs few
            lines are, and only these are decoded.
    """
    try:
        content = content_of(run_folder / NAME)
    except FileNotFoundError:
        return []
    except OSError as error:
        note(run_folder / NAME, f"cannot be read ({error.strerror})", REMEDY)
        return []
    found = []
    whole, _, _torn = content.rpartition(b"\n")
    for text in whole.split(b"\n"):
        if not text or (identities is not None and text[IDENTITY] not in identities):
            continue
        try:
            found.append(DECODER.decode(text))
        except ValueError:
            note(run_folder / NAME, "has lines that are not in the form this version knows", REMEDY)
    return found


def newest(run_folder: Path, job: str) -> Line | None:
    """The last line of one job."""
    return newest_of_all(run_folder).get(job)


def newest_of_all(run_folder: Path) -> dict[str, Line]:
    """The last line of each job: what is known of the attempt that counts."""
    return {line.job: line for line in read(run_folder)}
