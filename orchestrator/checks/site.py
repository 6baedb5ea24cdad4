"""What Slurm says of a site: its nodes and partitions, and what the user may use of them.

In: the answers of sinfo, scontrol and sacctmgr. Out: a `Site`. Called by
``orchestrator.checks.new_profile``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.clusters.slurm import queries
from orchestrator.clusters.slurm.parse import minutes, parse_partitions
from orchestrator.clusters.slurm.queries import Reply
from orchestrator.errors import CheckError


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


def ask_site() -> Site:
    """Ask Slurm. A cluster without accounting has no associations."""
    nodes = parse_nodes(answer(queries.nodes()))
    partitions = parse_partitions(answer(queries.partitions()))
    accounts = queries.associations("account", "partition", "qos", "maxsubmitjobs")
    # Not for want of accounting: written without its account, a profile might be refused at every
    # launch.
    if accounts.failed and not accounts.no_accounting:
        raise CheckError(
            f"Slurm: sacctmgr failed ({accounts.trouble}): accounts cannot be asked; try again"
        )
    qos = "" if accounts.failed else answer(queries.qos_limits())
    max_submit, max_minutes = parse_qos_limits(qos)
    return Site(
        nodes=nodes,
        partitions=partitions,
        associations=parse_associations("" if accounts.failed else accounts.text),
        qos_max_submit=max_submit,
        qos_minutes=max_minutes,
    )


def parse_nodes(text: str) -> tuple[Nodes, ...]:
    """``partition|cores|MB|gres`` of ``sinfo``; ``64+`` counts as 64. Of several kinds of GPU in a
    node each counts."""
    found = []
    for line in text.splitlines():
        # "gpu|64|257000|gpu:a100:4(S:0-1)", or "64+" and "257000+" where like nodes differ.
        partition, cpus, memory, gres = line.split("|", 3)
        kinds = re.findall(r"\bgpu(?::([A-Za-z][\w.-]*))?:(\d+)", gres) or [("", "0")]
        for kind, count in kinds:
            found.append(
                Nodes(
                    partition=partition,
                    cpus=int(cpus.rstrip("+")),
                    # Rounded down: a job that asks for one GB too much would wait for ever.
                    memory_gb=int(memory.rstrip("+")) // 1024,
                    gpus=int(count),
                    gpu_type=kind or None,
                )
            )
    return tuple(found)


def parse_associations(text: str) -> tuple[Association, ...]:
    """``account|partition|qos,qos|maximum`` of ``sacctmgr``."""
    found = []
    for line in text.splitlines():
        account, partition, qos, max_submit = line.split("|")[:4]
        found.append(
            Association(
                account=account,
                partition=partition,
                qos=tuple(filter(None, qos.split(","))),
                max_submit=int(max_submit) if max_submit.isdigit() else None,
            )
        )
    return tuple(found)


def parse_qos_limits(text: str) -> tuple[dict[str, int], dict[str, int]]:
    """``name|maximum|time`` of ``sacctmgr``: how many jobs a user may have in the queue, and how
    many minutes a job may take, of each QOS that limits it."""
    max_submit: dict[str, int] = {}
    max_minutes: dict[str, int] = {}
    for line in text.splitlines():
        name, jobs, wall_time = line.split("|")[:3]
        if jobs.isdigit():
            max_submit[name] = int(jobs)
        longest = minutes(wall_time)
        if longest is not None:
            max_minutes[name] = longest
    return max_submit, max_minutes
