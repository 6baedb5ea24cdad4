"""What ran where and what it took, from the records that lie beside each job's output folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Cost:
    """One job: what it asked for, where it ran, for how long."""

    job: str
    hosts: list[str] = field(default_factory=list)
    cpus: int | None = None
    gpus: int | None = None
    memory_gb: int | None = None
    hours: float = 0.0
    cpu_hours: float = 0.0
    gpu_hours: float = 0.0
    attempts: int = 0
    """How often it was submitted."""
    requeues: int = 0
    """How often the scheduler started an attempt again."""
    unknown: list[str] = field(default_factory=list)
    """What is not known; while it is not empty, the hours are a lower bound."""
    files: list[Path] = field(default_factory=list)


def asked(resources: dict[str, int]) -> tuple[int, int, int]:
    """CPUs, GPUs and GB of memory over all nodes."""
    nodes = resources["nodes"]
    return nodes * resources["cpus"], nodes * resources["gpus"], nodes * resources["memory_gb"]


def read_cost(job: str, out: Path) -> Cost:
    """The cost of the job with output folder ``out``; every start counts, also those that
    failed."""
    cost, folder = Cost(job), out.parent
    attempts = [path for path in sorted(folder.glob("attempt-*")) if path.is_dir()]
    cost.attempts = len(attempts)
    description = folder / "job.json"
    resources = json.loads(description.read_text())["resources"] if description.is_file() else None
    if resources is not None:
        cost.files.append(description)
        cost.cpus, cost.gpus, cost.memory_gb = asked(resources)
    for attempt in attempts:
        read_attempt(cost, attempt, resources)
    if not attempts:
        cost.unknown.append("no attempt is on disk")
    cost.hosts = sorted(set(cost.hosts))
    return cost


def read_attempt(cost: Cost, attempt: Path, resources: dict[str, int] | None) -> None:
    """Add one attempt: an ``exit.json``, and a numbered copy for each start before a requeue;
    ``claim.json`` is of the newest start."""
    paths = sorted(attempt.glob("exit*.json"))
    ended: dict[int, dict[str, Any]] = {
        record["restart"]: record for record in (json.loads(path.read_text()) for path in paths)
    }
    claim_file = attempt / "claim.json"
    claim: dict[str, Any] | None = (
        json.loads(claim_file.read_text()) if claim_file.is_file() else None
    )
    for record in ended.values():
        cost.hosts.append(str(record["host"]))
        hours = (float(record["ended"]) - float(record["started"])) / 3600
        cost.hours += hours
        used = (
            record.get("resources") or resources
        )  # an older record does not say what was asked for: the job does
        if used is None:
            cost.unknown.append(f"{attempt.name} does not say what it had asked for")
            continue
        cost.cpus, cost.gpus, cost.memory_gb = asked(used)
        cost.cpu_hours += hours * cost.cpus
        cost.gpu_hours += hours * cost.gpus
    if claim is not None and claim["restart"] not in ended:
        cost.hosts.append(str(claim["host"]))
        cost.unknown.append(f"{attempt.name} started on {claim['host']} and left no exit record")
        paths.append(claim_file)
    starts = [*ended, *([claim["restart"]] if claim is not None else [])]
    cost.requeues += max(starts, default=0)
    cost.files += paths
