"""``state.json``: what is known of every job of a run, a job per line.

``Run.load`` and ``Run.save`` call ``read_state`` and ``write_state``; only orch writes the file,
with the run's lock held. A file that an older version wrote is brought to the present format when
it is read (``STEPS``), and stays as it is on disk until something new is known.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.errors import RunError
from orchestrator.node.light.standard import printable
from orchestrator.node.system import write_text
from orchestrator.runs.documents.reading import NUL, content_of, cut
from orchestrator.runs.record import Doubt, JobState, Record, Wait
from orchestrator.runs.versions import Step, migrated

NAME = "state.json"


class StateFile(msgspec.Struct):
    """What the file holds."""

    run: str
    jobs: list[Record]
    version: int = 0
    """The number of its format; older files have none."""


def read_state(path: Path, run: str) -> list[Record]:
    """The records in the file of the run called ``run``. RunError, with the remedy, if it is none
    or a newer version has written it."""
    content = content_of(path)
    try:
        # The present format is tried first: most files have it, and typed decoding is one step
        # where plain values need two.
        state = present(content)
        if state is None:
            values = migrated(path, printable(msgspec.json.decode(content)), STEPS)
            state = msgspec.convert(values, StateFile)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise RunError(
            f"{path}: not a state file ({cut(error)}); rebuild it from the jobs' folders "
            f"and the scheduler: orch status {run} --rescan"
        ) from error
    return state.jobs


def present(content: bytes) -> StateFile | None:
    """The file, if it is of the present format: by far the most often, and read at once."""
    if NUL in content:
        return None
    try:
        state = msgspec.json.decode(content, type=StateFile)
    # JSON, but not of these types: an older format, or a newer one. What is no JSON at all is a
    # DecodeError, and goes on to the caller.
    except msgspec.ValidationError:
        return None
    return state if state.version == len(STEPS) else None


def write_state(path: Path, run: str, records: Sequence[Record]) -> None:
    """Write the file whole, by rename."""
    # A job per line: the shell's completion looks for names without a JSON parser.
    lines = b",\n".join(map(msgspec.json.Encoder().encode, records))
    head = f'"version": {len(STEPS)}, "run": {json.dumps(run)}'
    write_text(path, f'{{{head}, "jobs": [\n{lines.decode()}\n]}}\n')


def from_prose(values: dict[str, Any]) -> None:
    """Format 0 to 1. What a job waits for, and why its state is unknown, stood in its reason and
    its source alone; now fields say it."""
    jobs = values.get("jobs")
    for job in jobs if isinstance(jobs, list) else []:
        if not isinstance(job, dict):
            continue
        # Where a job on the cluster `local` had not ended, early versions wrote a list here.
        if job.get("ended") == []:
            del job["ended"]
        waits_on, doubt = wait_in_prose(job), doubt_in_prose(job)
        if waits_on is not None:
            job["waits_on"] = waits_on.value
        if doubt is not None:
            job["doubt"] = doubt.value


def wait_in_prose(job: dict[str, Any]) -> Wait | None:
    """What a job of format 0 waits for. What it waits for among other jobs is found anew at every
    poll and needs no reading."""
    state, source, reason = job.get("state"), job.get("source", "orch"), str(job.get("reason", ""))
    # The sentences are those that version 0.1.0 wrote; what is better worded today does not matter
    # here.
    if state == JobState.CANCELLED:
        by_person = source == "orch" and reason.startswith("cancelled")
        return Wait.PERSON if by_person else None
    if state == JobState.WAITING and source == "gate":
        return Wait.NOTHING_MORE if "nothing more will come" in reason else Wait.GATE
    if state == JobState.WAITING and source == "limit":
        return Wait.QUEUE_LIMIT
    if state == JobState.WAITING or job.get("held"):
        if reason.startswith("held: the canary "):
            return Wait.CANARY
        return Wait.SIBLINGS if reason.startswith("held:") else None
    return None


def doubt_in_prose(job: dict[str, Any]) -> Doubt | None:
    """Why the state of a job of format 0 is unknown."""
    if job.get("state") != JobState.UNKNOWN:
        return None
    doubts = {
        "neither queue nor accounting knows it (yet)": Doubt.NOWHERE,
        "perhaps submitted; the scheduler could not be asked": Doubt.AMBIGUOUS,
        "rebuilt from the job's folder": Doubt.REBUILT,
    }
    return doubts.get(str(job.get("reason", "")), Doubt.UNASKED)


def with_retries(_values: dict[str, Any]) -> None:
    """Format 1 to 2. Records may say how often they were submitted again by themselves; without the
    key never."""


def with_reused(_values: dict[str, Any]) -> None:
    """Format 2 to 3. Records may say from which job of another run theirs was taken; without the
    key from none."""


STEPS: tuple[Step, ...] = (from_prose, with_retries, with_reused)
"""From each format to the next; the number of them is the number of the present format."""
