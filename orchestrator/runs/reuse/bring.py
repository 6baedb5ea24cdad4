"""Bring what a job of another run has left into the folder of a job of this one.

In: the source's output folder and the list of what it had left (``left.json``). Out: the job's own
``out`` with the same files, and in it ``reused.json``: where they come from. Called by the pass
that submits, with the run's lock held.

Small files are copied, since some are written in place; large ones get a second name (a hard link,
or a copy where the file system has none), which costs no room, and stays when the source goes. The
folder appears by rename: it is whole or not there. Each file is held against the list on the way,
so that nothing is taken that was changed since.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, TypedDict

from orchestrator.node.cost import COST_FILE
from orchestrator.node.reuse.evidence import SMALL_BYTES, is_facts, unlike
from orchestrator.node.system import write_json
from orchestrator.runs.documents.reading import Moment, mapping
from orchestrator.runs.layout import OUT, RESULTS

REUSED = "reused.json"
"""In the output folder of a job that was taken from another run."""


KEPT = "kept"
"""In ``reused.json`` of what was brought for a job that runs once more: no launch makes it anew."""

Told = TypedDict(
    "Told",
    {
        "from": str,
        "job": str,
        "token": str,
        "ended": Moment | None,
        "time": Moment,
        "files": dict[str, list[Any]],
    },
)
"""What ``reused.json`` must say."""


class Changed(Exception):
    """What the source has left is not what lies there now; the text says what."""


def check(out: Path, left: dict[str, list[Any]]) -> None:
    """``Changed`` unless everything that was left is there as it was."""
    if RESULTS not in left:
        raise Changed(f"no {RESULTS} was left")
    for name, facts in left.items():
        check_one(out, name, facts)


def check_one(out: Path, name: str, facts: list[Any]) -> None:
    """``Changed`` unless one file is as it was."""
    check_form(name, facts)
    difference = unlike(f"{out}/{name}", facts)
    if difference:
        raise Changed(f"{name} {difference}")
    if facts[0] == "link" and new_target(out, name, facts[1]) is None:
        raise Changed(f"{name} is a link that leads out of the job's folder")


def check_form(name: str, facts: list[Any]) -> None:
    """``Changed`` unless this is the name of a file below the folder, and what is noted of one."""
    if not is_facts(facts) or ".." in Path(name).parts or Path(name).is_absolute():
        raise Changed(f"{name} is not noted in the form that this version knows")


def new_target(out: Path, name: str, target: str) -> str | None:
    """Where a link leads from its new place; None if it leads by a relative path out of the folder
    that is brought."""
    place = os.path.dirname(f"{out}/{name}")  # noqa: PTH120
    leads_to = os.path.normpath(os.path.join(place, target))  # noqa: PTH118
    if Path(leads_to).is_relative_to(out):
        return os.path.relpath(leads_to, place)
    return target if os.path.isabs(target) else None  # noqa: PTH117


def bring(out: Path, left: dict[str, list[Any]], job_folder: Path, told: dict[str, Any]) -> None:
    """Make the output folder of a job that has none.

    Args:
        out: of the source.
        left: the files that it had left, as the node wrote them down.
        job_folder: of the job that takes them.
        told: what ``reused.json`` says.

    Raises:
        Changed: nothing is taken.
    """
    draft = job_folder / f".{OUT}.{os.getpid()}"
    # What a killed process has left too: whoever is here has the run's lock.
    for old in job_folder.glob(f".{OUT}.*"):
        shutil.rmtree(old, ignore_errors=True)
    try:
        if RESULTS not in left:
            raise Changed(f"no {RESULTS} was left")
        draft.mkdir(parents=True)
        for name, facts in left.items():
            place_one(out, name, facts, draft)
        if (out / COST_FILE).exists():
            # It is written when all else has been; a report wants to know what a result has cost.
            shutil.copy2(out / COST_FILE, draft / COST_FILE)
        write_json(draft / REUSED, {**told, "files": left})
        draft.rename(job_folder / OUT)
    except OSError as error:
        # Whoever removes the source at this moment must not keep the job from being run.
        raise Changed(f"it could not be read ({error.strerror}: {error.filename})") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def place_one(out: Path, name: str, facts: list[Any], draft: Path) -> None:
    """Copy or link one file. ``Changed`` if it is not as it was left."""
    check_form(name, facts)
    source, copy = out / name, draft / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    if facts[0] == "link" or not os.path.lexists(source):
        check_one(out, name, facts)
        copy.symlink_to(str(new_target(out, name, facts[1])))
        return
    if facts[0] > SMALL_BYTES:
        try:
            os.link(source, copy)
        # Another file system, or one without a second name.
        except OSError:
            shutil.copy2(source, copy)
    else:
        shutil.copy2(source, copy)
    # What is ours now is looked at, not the source, which somebody may be writing to.
    check_one(draft, name, facts)


def reused(out: Path) -> dict[str, Any] | None:
    """What is said of the source of an output folder; None: the job has run in this run,
    or that cannot be read."""
    return mapping(out / REUSED, "left out, and nobody takes its results", Told)


def put_aside(out: Path) -> Path:
    """Move an output folder out of the way (``out.before-1``): what runs next must not write into
    it, nor take it for its own."""
    number = 1
    while (aside := out.with_name(f"{out.name}.before-{number}")).exists():
        number += 1
    out.rename(aside)
    return aside


def unshare(out: Path) -> None:
    """Give a job that is to run again files of its own in place of those that it shares with a run
    that took them: a program may open one and write."""
    for place, _, names in os.walk(out):
        for name in names:
            path = Path(place) / name
            if path.is_symlink() or path.stat().st_nlink == 1:
                continue
            copy = path.with_name(f".{name}.{os.getpid()}")
            shutil.copy2(path, copy)
            copy.replace(path)
