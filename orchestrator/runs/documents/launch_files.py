"""``launch``: what the launcher on the node is told of plain jobs, beside their attempt or in their
array's folder.

In: a run and the records of a batch whose ``job.json`` is on disk. Out: the file, where the copy of
the code has a launcher and one of the jobs is plain (orchestrator/node/launcher/plain.py has its
form). Called just before a batch is submitted (orchestrator/runs/attempts.py). Without the file
Python starts the job.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.node.launcher.plain import LAUNCH, body_of, launch_file
from orchestrator.node.tracking.variables import SETTINGS, settings_of
from orchestrator.runs.documents.job_files import JOB
from orchestrator.runs.record import Record

if TYPE_CHECKING:
    from orchestrator.runs.run import Run


def write_launch(run: Run, records: Sequence[Record]) -> None:
    """Write the file for the jobs of a batch."""
    code = run.code()
    first = records[0]
    if code.launcher is None or first.packed or first.attempt > 1:
        return
    bodies, trackers = {}, None
    for record in records:
        folder = f"{run.folder}/{record.folder}"
        trackers = trackers or tracking(run.folder, folder)
        body = body_for(record.token, folder, str(code.folder), trackers)
        if body is not None:
            bodies[record.parsed_token.index or 0] = body
    place = run.attempt_folder(first)
    if first.token != first.parsed_token.head:
        place = run.array_folder(first.parsed_token.head)
        place.mkdir(parents=True, exist_ok=True)
    if bodies:
        put(place / LAUNCH, launch_file(bodies))


def body_for(
    token: str, folder: str, code: str, trackers: tuple[bytes, dict[str, Any] | None]
) -> bytes | None:
    """What the launcher is told of a job; None of one that is not plain."""
    try:
        return body_of(folder, token, code, Path(folder, JOB).read_bytes(), trackers)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # job.json is damaged: Python on the node says so, in the job's log.
        return None


def tracking(run: Path, folder: str) -> tuple[bytes, dict[str, Any] | None]:
    """What the run says of trackers, as it stands there and read."""
    path = run / SETTINGS
    return path.read_bytes() if path.exists() else b"", settings_of(folder)


def put(path: Path, content: bytes) -> None:
    """Write the file whole; one that a power cut has emptied is none, so nothing waits for the
    disk."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    draft.write_bytes(content)
    draft.replace(path)
