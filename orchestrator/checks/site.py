"""What Slurm says of a site: its nodes and partitions, and what the user may use of them.

In: the answers of sinfo, scontrol and sacctmgr. Out: a `Site`. Called by
``orchestrator.checks.new_profile``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from orchestrator.clusters.slurm import queries
from orchestrator.clusters.slurm.gpus import gpus_in
from orchestrator.clusters.slurm.parse import minutes, parse_partitions
from orchestrator.clusters.slurm.queries import Reply
from orchestrator.clusters.slurm.rows import nothing_readable, readable
from orchestrator.errors import CheckError

Found = TypeVar("Found")


@dataclass(frozen=True)
class Nodes:
    """Like nodes of a partition."""

    partition: str
    cpus: int
    memory_gb: int
    gpus: int
    gpu_type: str | None


@dataclass(frozen=True)
class Association:
    """What a user may use."""

    account: str
    partition: str
    """Empty: any."""
    qos: tuple[str, ...]
    max_submit: int | None


@dataclass(frozen=True)
class Site:
    """What Slurm says of itself."""

    nodes: tuple[Nodes, ...]
    partitions: Mapping[str, Mapping[str, str]]
    associations: tuple[Association, ...]
    qos_max_submit: Mapping[str, int]
    qos_minutes: Mapping[str, int]


def answer(reply: Reply) -> str:
    """What one of Slurm's programs says. CheckError if it failed."""
    if reply.failed:
        raise CheckError(
            f"Slurm: {reply.program} failed ({reply.trouble}): ask again later, or write the "
            "profile by hand (slurm_templates/)"
        )
    return reply.text


def understood(read: Callable[[str], Found], reply: Reply) -> Found:
    """What is read of what a program says. CheckError, with its first line, if that cannot be
    read."""
    try:
        return read(answer(reply))
    except ValueError as error:
        raise CheckError(
            f"Slurm: {reply.program}: {error}: write the profile by hand (slurm_templates/)"
        ) from error


def ask_site() -> Site:
    """Ask Slurm. A cluster without accounting has no associations."""
    nodes = understood(parse_nodes, queries.nodes())
    reply = queries.partitions()
    partitions = parse_partitions(answer(reply))
    if not partitions:
        raise CheckError(f"Slurm: {reply.program}: {nothing_readable(reply.text)}")
    accounts = queries.associations("account", "partition", "qos", "maxsubmitjobs")
    # Not for want of accounting: written without its account, a profile might be refused at every
    # launch.
    if accounts.failed and not accounts.no_accounting:
        raise CheckError(
            f"Slurm: sacctmgr failed ({accounts.trouble}): accounts cannot be asked; try again"
        )
    max_submit: dict[str, int] = {}
    max_minutes: dict[str, int] = {}
    associations: tuple[Association, ...] = ()
    if not accounts.failed:
        associations = understood(parse_associations, accounts)
        max_submit, max_minutes = understood(parse_qos_limits, queries.qos_limits())
    return Site(
        nodes=nodes,
        partitions=partitions,
        associations=associations,
        qos_max_submit=max_submit,
        qos_minutes=max_minutes,
    )


NODES = re.compile(r"([^|]+)\|(\d+)\+?\|(\d+)\+?\|(.*)")
"""``gpu|64|257000|gpu:a100:4(S:0-1)``, or ``64+`` and ``257000+`` where like nodes differ."""
ASSOCIATION = re.compile(r"([^|]*)\|([^|]*)\|([^|]*)\|(\d*)\|?")
QOS = re.compile(r"([^|]+)\|(\d*)\|([^|]*)\|?")


def parse_nodes(text: str) -> tuple[Nodes, ...]:
    """``partition|cores|MB|gres`` of ``sinfo``; ``64+`` counts as 64. Of several kinds of GPU in a
    node each counts. ValueError if there are lines and none is one of these."""
    found = []
    for line in readable(text, NODES):
        partition, cpus, memory, gres = line.groups()
        for kind, count in [*gpus_in(gres)] or [(None, 0)]:
            found.append(
                Nodes(
                    partition=partition,
                    cpus=int(cpus),
                    # Rounded down: a job that asks for one GB too much would wait for ever.
                    memory_gb=int(memory) // 1024,
                    gpus=count,
                    gpu_type=kind,
                )
            )
    return tuple(found)


def parse_associations(text: str) -> tuple[Association, ...]:
    """``account|partition|qos,qos|maximum`` of ``sacctmgr``, by name: versions list them in another
    order. ValueError if there are lines and none is one of these."""
    found = []
    for line in readable(text, ASSOCIATION):
        account, partition, qos, max_submit = line.groups()
        found.append(
            Association(
                account=account,
                partition=partition,
                qos=tuple(sorted(filter(None, qos.split(",")))),
                max_submit=int(max_submit) if max_submit else None,
            )
        )
    return tuple(sorted(found, key=lambda one: (one.account, one.partition)))


def parse_qos_limits(text: str) -> tuple[dict[str, int], dict[str, int]]:
    """``name|maximum|time`` of ``sacctmgr``: how many jobs a user may have in the queue, and how
    many minutes a job may take, of each QOS that limits it. ValueError if there are lines and none
    is one of these."""
    max_submit: dict[str, int] = {}
    max_minutes: dict[str, int] = {}
    for line in readable(text, QOS):
        name, jobs, wall_time = line.groups()
        if jobs:
            max_submit[name] = int(jobs)
        longest = minutes(wall_time)
        if longest is not None:
            max_minutes[name] = longest
    return max_submit, max_minutes
