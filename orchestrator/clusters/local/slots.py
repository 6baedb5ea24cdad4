"""Share CPUs, memory and GPUs of this machine between the jobs of all runs on it.

In: what the machine has and what a job asks for. Out: the GPUs that it gets, or None while it does
not fit. Called by the local scheduler.

A ledger file under a lock holds who has what. An entry counts only while its process lives, so
nothing has to be given back after a kill. Free memory is counted from what jobs asked for, not
measured.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NotRequired, TypedDict

from jobs.spec import Resources
from orchestrator.clusters.local.machine import Machine
from orchestrator.node.system import lives, process_start, write_text
from orchestrator.runs.documents.reading import document

SHOWN = 3
"""Holders that are named; of others only how many."""


def ledger_path() -> Path:
    """One ledger per user and machine, on a local disk."""
    return Path(tempfile.gettempdir()) / f"orch-slots-{getpass.getuser()}.json"


class Entry(TypedDict):
    """A job that runs, by its process, and what it holds."""

    pid: int
    start: str | None
    cpus: int
    memory_gb: int
    gpus: list[str]
    name: NotRequired[str]
    """Whose it is; an older version wrote none."""


@contextmanager
def ledger() -> Iterator[list[Entry]]:
    """The live entries under the lock; what is in the list at the end is written back."""
    path = ledger_path()
    # A file of its own: the ledger is replaced by rename, so that a kill leaves it whole.
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Damaged it is as good as empty: jobs that run are entered again by nobody, so that for a
        # while more may start than fit.
        noted = document(path, list[Entry], "begun anew") or []
        # By its start time too: another process may have the id of one that has ended.
        entries = [entry for entry in noted if lives(entry)]
        yield entries
        # Every waiting job asks in every round; mostly nothing has changed.
        if entries != noted:
            write_text(path, json.dumps(entries))


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
        lacking.append(f"{asked[kind]} {kind}, {max(0, free)} free")
        for one, own in zip(entries, held, strict=True):
            if own[kind]:
                holders[one.get("name") or f"process {one['pid']}"] = None
    names = list(holders)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"Resources: {'; '.join(lacking)}: held by {', '.join(names[:SHOWN])}{more}"


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
