"""What a job has cost so far, in the file ``cost.json`` beside its results.

In: the claims and exit records in the attempt folders of one job. Out: ``cost.json``, whose form
docs/architecture.md gives; a report on the job reads it there, because it may start before any
``orch`` command has seen the job end. Called by the program on the node (attempt.py); `orch costs`
(orchestrator/views/costs) takes the records and the division of shared GPUs from here too.
"""

from __future__ import annotations

import os

from orchestrator.node.light.standard import dumps
from orchestrator.node.system import read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    AnyPath = str | os.PathLike[str]

COST_FILE = "cost.json"
NUMBER = (int, float)
ENDED: dict[str, type | tuple[type, ...]] = {
    "started": NUMBER,
    "ended": NUMBER,
    "job_id": str,
    "exit_code": int,
    "results": bool,
}
CLAIMED: dict[str, type | tuple[type, ...]] = {
    "started": NUMBER,
    "job_id": str,
    "restart": int,
}
"""What is looked for in the records of a start."""
MOST = 10**9
"""Of nothing that a job asks for there are so many."""
LATEST = 1e12
"""Unix seconds that no clock shows."""
MOST_STARTS = 100_000
"""No scheduler starts a job so often. What is counted up to a number of a file has a bound."""
ASKED, ALSO_ASKED = ("gpus", "cpus", "memory_gb", "nodes"), ("minutes",)
"""What a start must say that it had asked for, and what else is read of it."""


def units_held(resources: Mapping[str, int], kind: str, neighbours: int = 0) -> float:
    """``gpus`` or ``cpus`` that a start holds, over all its nodes.

    The jobs of a pack share the GPUs of their allocation, so each is charged its part of them:
    ``neighbours`` is how many other jobs there are. Every job of a pack has CPUs of its own.
    """
    count = resources["nodes"] * resources[kind]
    return count / (1 + neighbours) if kind == "gpus" else count


def attempt_records(
    attempt: AnyPath, damaged: Callable[[str], object] = str
) -> tuple[dict[int, dict[str, Any]], dict[str, Any] | None]:
    """The exit records of an attempt by the number of its start, and its claim if one is there.

    A requeued attempt has several starts: ``exit.json`` is that of the newest that left one, an
    ``exit-N.json`` that of an earlier one. The claim is always of the newest start.
    What a crash has cut short counts as not written, and ``damaged`` is given its path.
    """
    ended: dict[int, dict[str, Any]] = {}
    claim: dict[str, Any] | None = None
    for name in _listed(attempt):
        number = name.removeprefix("exit-").removesuffix(".json")
        is_exit = name == "exit.json" or (name == f"exit-{number}.json" and number.isdigit())
        path = os.path.join(attempt, name)
        try:
            if is_exit:
                record = read_record(path, ENDED)
                # Older versions left the number out where orch ended a member before it started.
                ended[record.get("restart", 0)] = record
            elif name == "claim.json":
                claim = read_record(path, CLAIMED)
        except ValueError:
            damaged(path)
    return ended, claim


def read_record(path: str, keys: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """A record of a start. ValueError if it is damaged: not one that has these keys, each of its
    type."""
    record: Any = read_json(path)
    whole = isinstance(record, dict) and all(
        isinstance(record.get(key), kind) for key, kind in keys.items()
    )
    times = [record[key] for key in ("started", "ended") if key in keys] if whole else []
    # Not NaN either, which is in no order.
    if not all(0 <= time < LATEST for time in times) or not whole:
        raise ValueError(f"{path} is no record of a start")
    if not is_count(record.get("restart", 0)) or record.get("restart", 0) >= MOST_STARTS:
        raise ValueError(f"{path} is no record of a start")
    if not is_count(record.get("neighbours", 0)):
        raise ValueError(f"{path} does not say how many shared its allocation")
    resources = record.get("resources")
    if resources is not None:
        if not isinstance(resources, dict) or not all(
            is_count(resources.get(kind)) for kind in ASKED
        ):
            raise ValueError(f"{path} does not say what the start had asked for")
        # A newer version may have noted more.
        record["resources"] = {
            kind: resources[kind] for kind in (*ASKED, *ALSO_ASKED) if kind in resources
        }
    return dict(record)


def is_count(value: Any) -> bool:
    """Whether it is a number of things that there may be."""
    return isinstance(value, int) and 0 <= value < MOST


def cost_so_far(folder: str, resources: Mapping[str, int] | None) -> dict[str, Any]:
    """The document for the job in ``folder``. Every start counts, also those that failed.

    Args:
        resources: what the job asks for now, for records of older versions, which do not say what
            their start had asked for.
    """
    attempts = _attempts(folder)
    cost: dict[str, Any] = {
        "schema": 1,
        "seconds": 0.0,
        "cpu_hours": 0.0,
        "gpu_hours": 0.0,
        "attempts": len(attempts),
        "requeues": 0,
        "hosts": [],
        **_over_all_nodes(resources),
        "unknown": [],
    }
    for attempt in attempts:
        ended, claim = attempt_records(os.path.join(folder, attempt))
        for restart in sorted(ended):
            _add_start(cost, attempt, ended[restart], resources)
        starts = list(ended)
        if claim is not None:
            starts.append(claim["restart"])
        if claim is not None and claim["restart"] not in ended:
            host = claim.get("host", "")
            cost["hosts"].append(str(host))
            cost["unknown"].append(f"{attempt} started on {host} and left no exit record")
        # Starts count from 0, so the last number is how often it was requeued.
        cost["requeues"] += max(starts, default=0)
    cost["hosts"] = sorted(set(cost["hosts"]))
    return cost


def _add_start(
    cost: dict[str, Any],
    attempt: str,
    record: Mapping[str, Any],
    resources: Mapping[str, int] | None,
) -> None:
    """Add one start by its exit record."""
    seconds = seconds_of(record)
    cost["seconds"] += seconds
    cost["hosts"].append(str(record.get("host", "")))
    asked = record.get("resources") or resources
    if asked is None:
        cost["unknown"].append(f"{attempt} does not say what it had asked for")
        return
    neighbours = record.get("neighbours", 0)
    cost["cpu_hours"] += units_held(asked, "cpus", neighbours) * seconds / 3600
    cost["gpu_hours"] += units_held(asked, "gpus", neighbours) * seconds / 3600
    cost.update(_over_all_nodes(asked))


def seconds_of(record: Mapping[str, Any]) -> float:
    """How long a start took, by its exit record. Older versions noted start and end alone, between
    which the clock may have been set."""
    seconds = record.get("seconds")
    if isinstance(seconds, NUMBER) and 0 <= seconds < LATEST:
        return float(seconds)
    return max(0.0, float(record["ended"]) - float(record["started"]))


def _over_all_nodes(resources: Mapping[str, int] | None) -> dict[str, int | None]:
    """What was asked for, summed over the nodes; None where nobody knows."""
    kinds = ("cpus", "gpus", "memory_gb")
    if resources is None:
        return dict.fromkeys(kinds)
    return {kind: resources["nodes"] * resources[kind] for kind in kinds}


def write_cost(folder: str, out: str, resources: Mapping[str, int] | None) -> None:
    """Write ``cost.json`` of the job in ``folder`` into its output folder. That it cannot be
    written is told, and no reason for the job to fail."""
    draft = os.path.join(out, f".{COST_FILE}.{os.getpid()}.tmp")
    try:
        # By rename, but not forced to disk, which would take longer than the rest of an empty job:
        # after a power cut the cost may be unknown.
        with open(draft, "w") as file:
            file.write(dumps(cost_so_far(folder, resources), indent=1))
        os.replace(draft, os.path.join(out, COST_FILE))
    except OSError as error:
        print(f"orch: {COST_FILE} could not be written: {error}", flush=True)


def _attempts(folder: str) -> list[str]:
    """The attempt folders of a job, the first one first."""
    numbers = [name.removeprefix("attempt-") for name in _listed(folder)]
    found = [number for number in numbers if number.isdecimal()]
    return [f"attempt-{number}" for number in sorted(found, key=int)]


def _listed(folder: AnyPath) -> list[str]:
    """The names in a folder; none if it is not there."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
