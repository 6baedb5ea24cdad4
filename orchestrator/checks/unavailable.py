"""Whether a job that Slurm's trial refuses would only wait, because all nodes that it fits on are
down, drained or reserved at the moment.

``sbatch --test-only`` says of such a job what it says of one that fits nowhere; sbatch itself
queues it. In: what a kind of job asks for, and the trial's refusal. Out: the nodes that it would
wait for. Called by ``orchestrator.checks.slurm``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.spec import Resources
from orchestrator.clusters.slurm import queries
from orchestrator.clusters.slurm.gpus import gpus_in
from orchestrator.clusters.slurm.parse import partition_names
from orchestrator.description.profile import Profile

FITS_NOWHERE = "Requested node configuration is not available"
NOT_NOW = "Required node not available"
"""Of Slurm itself: down, drained or reserved."""
READY = re.compile(
    r"(idle|mixed|allocated|completing|planned|powering_up|powered_down)[~#!%$@^+-]*"
)
"""States in which a node takes jobs, sooner or later by itself."""
PLAIN = re.compile(r"[\w.-]+")
"""A constraint of one feature; what `&`, `|` and counts mean is Slurm's own affair."""


@dataclass(frozen=True)
class Node:
    """A node as sinfo shows it."""

    partition: str
    name: str
    state: str
    cpus: int
    memory_mb: int
    gpus: dict[str | None, int]
    features: frozenset[str]


def parse_nodes(text: str) -> list[Node]:
    """A line ``partition|name|state|CPUs|MB|gres|features`` each; what is none is passed over."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != 7 or not (cells[3].isdigit() and cells[4].isdigit()):
            continue
        partition, name, state, cpus, memory, gres, features = cells
        kinds: dict[str | None, int] = {}
        for kind, count in gpus_in(gres):
            kinds[kind] = kinds.get(kind, 0) + count
        names = frozenset(features.split(","))
        found.append(Node(partition, name, state, int(cpus), int(memory), kinds, names))
    return found


def fits(node: Node, resources: Resources, profile: Profile) -> bool:
    """Whether a job fits on a node that it has for itself, as far as can be seen."""
    wanted = profile.gpu_type
    gpus = node.gpus.get(wanted, 0) if wanted else sum(node.gpus.values())
    constraint = str(profile.sbatch.get("constraint", ""))
    has_features = PLAIN.fullmatch(constraint) is None or constraint in node.features
    return (
        resources.cpus <= node.cpus
        and resources.memory_gb * 1024 <= node.memory_mb
        and resources.gpus <= gpus
        and has_features
    )


def waits_for_nodes(resources: Resources, profile: Profile, refusal: str) -> str | None:
    """What a job would wait for, such as ``n1 (down*), n2 (drained)``; None: it fits nowhere, or is
    refused for something else. CheckError if Slurm does not answer."""
    if FITS_NOWHERE not in refusal and NOT_NOW not in refusal:
        return None
    reply = queries.single_nodes(profile.cluster)
    if reply.failed:
        return None
    names = partition_names(profile.partition)
    there = [node for node in parse_nodes(reply.text) if not names or node.partition in names]
    fitting = {node.name: node for node in there if fits(node, resources, profile)}
    waited_for = [node for node in fitting.values() if READY.fullmatch(node.state) is None]
    if len(fitting) < resources.nodes or not waited_for:
        return None
    return listed([f"{node.name} ({node.state})" for node in waited_for])


def listed(names: Sequence[str]) -> str:
    """The first three of them, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
