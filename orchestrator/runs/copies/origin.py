"""``copy.json``: that a run's folder is a copy, and of what.

In: the folder of a run. Out: an ``Origin``, or None for a run of this machine. `orch pull` writes
the file before anything else of the run, so that no part of a copy is ever taken for a run of this
machine: `Run.lock`, without which nothing of a run is changed, refuses copies.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from orchestrator.errors import RunError
from orchestrator.node.system import write_text
from orchestrator.runs.documents.reading import Moment, content_of, decoded

NAME = "copy.json"


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run lives of which this is a copy."""

    source: str
    """HOST:RUN, as `orch pull` was given it."""
    uid: str
    """That of the run's plan file, by which it is told from another launch of the same."""
    asked: Moment
    """When the newest pull began, in Unix seconds: what is here is at least so new."""
    complete: bool
    """Whether that pull has come to its end."""

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.asked))
        text = f"a copy of {self.source}, where the run lives, as it was at {when}"
        if not self.complete:
            text += f"; not all of it has come: orch pull {self.source} goes on"
        return text


def read_origin(run_folder: Path) -> Origin | None:
    """Of what a folder is a copy; None: of nothing."""
    path = run_folder / NAME
    try:
        return decoded(content_of(path), Origin)
    except FileNotFoundError:
        return None
    except ValueError as error:
        # Never taken for a run of this machine, which might be changed.
        raise RunError(
            f"{path}: {error}: the folder is a copy of a run elsewhere; write the file anew by "
            "orch pull HOST:RUN, into another folder (--to)"
        ) from error


def write_origin(run_folder: Path, origin: Origin) -> None:
    """Write it whole, by rename."""
    write_text(run_folder / NAME, msgspec.json.encode(origin).decode())
