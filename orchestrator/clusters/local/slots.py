"""Share CPUs, memory and GPUs of this machine between the jobs of all runs on it.

In: what the machine has and what a job asks for. Out: the GPUs that it gets, or None while it does
not fit. Called by the local scheduler.

A ledger file under a lock holds who has what, in a folder that nobody else may enter. An entry
counts only while its process lives, so nothing has to be given back after a kill. Free memory is
counted from what jobs asked for, not measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NotRequired, TypedDict

from jobs.spec import Resources
from orchestrator.clusters.local.machine import Machine
from orchestrator.node.system import lives, process_start, write_text
from orchestrator.runs.documents.lock_files import locked_file, made_cache_folder
from orchestrator.runs.documents.reading import Count, document

SHOWN = 3
"""Holders that are named; of others only how many."""
HELD_SECONDS = 5.0
"""How long to wait for the ledger, which others have for the time that a job's start takes; the
scheduler looks again in its next round."""


def ledger_folder() -> Path:
    """A folder of this user alone, one per machine: on a local disk, where the name is not taken by
    somebody else; else the cache folder, into which nobody else can put anything."""
    own = Path(tempfile.gettempdir()) / f"orch-{os.geteuid()}"
    return own if made_private(own) else made_cache_folder()


def made_private(folder: Path) -> bool:
    """Make a folder that nobody else may enter; whether there is one now. A link is none: it leads
    where whoever has made it wants."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    known = folder.lstat()
    if not stat.S_ISDIR(known.st_mode) or known.st_uid != os.geteuid():
        return False
    if stat.S_IMODE(known.st_mode) & 0o077:
        folder.chmod(0o700)
    return True


class Entry(TypedDict):
    """A job that runs, by its process, and what it holds."""

    pid: Count
    start: str | None
    cpus: Count
    memory_gb: Count
    gpus: list[str]
    name: NotRequired[str]
    """Whose it is; an older version wrote none."""


@contextmanager
def ledger() -> Iterator[list[Entry]]:
    """The live entries under the lock; what is in the list at the end is written back. RunError
    names who keeps the lock."""
    path = ledger_folder() / "slots.json"
    # A file of its own: the ledger is replaced by rename, so that a kill leaves it whole.
    with locked_file(path.with_suffix(".lock"), HELD_SECONDS, moved_by="TMPDIR"):
        # Damaged it is as good as empty: jobs that run are entered again by nobody, so that for a
        # while more may start than fit.
        noted = document(path, list[Entry], "begun anew") or []
        # By its start time too: another process may have the id of one that has ended.
        entries = [entry for entry in noted if lives(entry)]
        yield entries
        # Every waiting job asks in every round; mostly nothing has changed.
        if entries != noted:
            write_text(path, json.dumps(entries), mode=0o600)


def fits(machine: Machine, resources: Resources, entries: list[Entry]) -> list[str] | None:
    """Ids of the GPUs the job would get, or None if it does not fit beside ``entries``."""
    cpus = machine.cpus - sum(entry["cpus"] for entry in entries)
    memory = machine.memory_gb - sum(entry["memory_gb"] for entry in entries)
    taken = {gpu for entry in entries for gpu in entry["gpus"]}
    free = [gpu for gpu in machine.gpus if gpu not in taken]
    if resources.cpus > cpus or resources.memory_gb > memory or resources.gpus > len(free):
        return None
    return free[: resources.gpus]


def held_by(machine: Machine, resources: Resources, entries: list[Entry]) -> str:
    """What a job that does not fit lacks, and who has it."""
    has = {"CPUs": machine.cpus, "GB of memory": machine.memory_gb, "GPUs": len(machine.gpus)}
    asked = dict(zip(has, (resources.cpus, resources.memory_gb, resources.gpus), strict=True))
    held = [
        dict(zip(has, (one["cpus"], one["memory_gb"], len(one["gpus"])), strict=True))
        for one in entries
    ]
    lacking = []
    holders: dict[str, None] = {}
    for kind, most in has.items():
        free = most - sum(one[kind] for one in held)
        if asked[kind] <= free:
            continue
        one_of = kind.removesuffix("s").removeprefix("GB of ")
        # What tells most comes first: a narrow table cuts the end.
        lacking.append(
            f"no {one_of} free" if free <= 0 else f"needs {asked[kind]} {kind}, {free} free"
        )
        for one, own in zip(entries, held, strict=True):
            if own[kind]:
                holders[one.get("name") or f"process {one['pid']}"] = None
    names = list(holders)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"Resources: {'; '.join(lacking)}; used by {', '.join(names[:SHOWN])}{more}"


def entry(pid: int, resources: Resources, gpus: list[str], name: str) -> Entry:
    """A ledger entry of a process; ``name`` says whose it is."""
    return {
        "name": name,
        "pid": pid,
        "start": process_start(pid),
        "cpus": resources.cpus,
        "memory_gb": resources.memory_gb,
        "gpus": gpus,
    }
