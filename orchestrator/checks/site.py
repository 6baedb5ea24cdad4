"""`orch profile init`: a cluster profile from what sinfo, scontrol and sacctmgr say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from jobs.spec import Job, Resources, asks_for
from orchestrator.checks.launch import check
from orchestrator.checks.slurm import minutes
from orchestrator.clusters.slurm import queries
from orchestrator.clusters.slurm.queries import Reply
from orchestrator.description.profile import Profile
from orchestrator.description.yaml_lines import near
from orchestrator.errors import CheckError
from orchestrator.planning.plan import Plan


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


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a person has chosen; None: the only one there is."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    gpu_type: str | None = None


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
    if accounts.failed and not accounts.no_accounting:
        raise CheckError(
            f"Slurm: sacctmgr failed ({accounts.trouble}): accounts cannot be asked; try again"
        )
    qos = "" if accounts.failed else answer(queries.qos_limits())
    rows = [line.split("|") for line in qos.splitlines()]
    return Site(
        nodes,
        partitions,
        parse_associations("" if accounts.failed else accounts.text),
        {row[0]: int(row[1]) for row in rows if row[1].isdigit()},
        {row[0]: found for row in rows if (found := minutes(row[2])) is not None},
    )


def parse_nodes(text: str) -> tuple[Nodes, ...]:
    """``partition|cores|MB|gres`` of ``sinfo``; ``64+`` counts as 64. Of several kinds of GPU in a
    node each counts."""
    found = []
    for line in text.splitlines():
        partition, cpus, memory, gres = line.split("|", 3)
        kinds = re.findall(r"\bgpu(?::([A-Za-z][\w.-]*))?:(\d+)", gres) or [("", "0")]
        found += [
            Nodes(
                partition,
                int(cpus.rstrip("+")),
                int(memory.rstrip("+")) // 1024,
                int(count),
                kind or None,
            )
            for kind, count in kinds
        ]
    return tuple(found)


def parse_partitions(text: str) -> dict[str, dict[str, str]]:
    """Partitions by name, from ``scontrol show partition --oneliner``."""
    lines = [
        dict(word.split("=", 1) for word in line.split() if "=" in word)
        for line in text.splitlines()
    ]
    return {line["PartitionName"]: line for line in lines if "PartitionName" in line}


def parse_associations(text: str) -> tuple[Association, ...]:
    """``account|partition|qos,qos|maximum`` of ``sacctmgr``."""
    rows = [line.split("|") for line in text.splitlines()]
    return tuple(
        Association(
            row[0],
            row[1],
            tuple(filter(None, row[2].split(","))),
            int(row[3]) if row[3].isdigit() else None,
        )
        for row in rows
    )


def chosen(what: str, option: str, wanted: str | None, choices: Mapping[str, str]) -> str | None:
    """The one that is wanted, or the only one; CheckError names the choices. None if there is
    none."""
    if wanted is not None:
        if wanted not in choices:
            raise CheckError(
                f"{option} {wanted}: no such {what} for you here{near(wanted, choices)}"
            )
        return wanted
    if len(choices) > 1:
        told = "; ".join(f"{name} ({about})" if about else name for name, about in choices.items())
        raise CheckError(f"there are {len(choices)} {what}s: choose one with {option}: {told}")
    return next(iter(choices), None)


def usable(site: Site) -> list[str]:
    """Partitions that are up and take one of the user's accounts; of these those with GPUs, if
    there are any."""
    accounts = {one.account for one in site.associations}
    found = []
    for name, values in site.partitions.items():
        allowed = values.get("AllowAccounts", "ALL")
        if values.get("State", "UP") == "UP" and (
            allowed == "ALL" or not accounts or accounts & set(allowed.split(","))
        ):
            found.append(name)
    return [
        name for name in found if any(one.partition == name and one.gpus for one in site.nodes)
    ] or found


def about(site: Site, partition: str) -> str:
    """A partition in a few words."""
    kinds = {
        f"{one.gpus} {one.gpu_type or 'GPU'}"
        for one in site.nodes
        if one.partition == partition and one.gpus
    }
    return (
        f"{', '.join(sorted(kinds)) or 'no GPU'}, up to "
        f"{site.partitions[partition].get('MaxTime', '?')}"
    )


def profile_of(site: Site, wanted: Wanted) -> Profile:
    """The profile. CheckError where there is a choice that was not made."""
    names = list(site.partitions) if wanted.partition else usable(site)
    partition = chosen(
        "partition", "--partition", wanted.partition, {name: about(site, name) for name in names}
    )
    if partition is None:
        raise CheckError(
            "Slurm shows no partition that you may use: ask the site's support, or look "
            "at scontrol show partition"
        )
    allowed = site.partitions[partition].get("AllowAccounts", "ALL").split(",")
    mine = [
        one
        for one in site.associations
        if one.partition in ("", partition) and (allowed == ["ALL"] or one.account in allowed)
    ]
    account = chosen("account", "--account", wanted.account, {one.account: "" for one in mine})
    mine = [one for one in mine if one.account == account]
    classes = [name for one in mine for name in one.qos]
    # Without --qos Slurm takes the association's default one.
    qos = chosen("QOS", "--qos", wanted.qos, dict.fromkeys(classes, "")) if wanted.qos else None
    nodes = [one for one in site.nodes if one.partition == partition]
    gpu_type = chosen(
        "GPU type",
        "--gpu-type",
        wanted.gpu_type,
        {one.gpu_type: "" for one in nodes if one.gpu_type},
    )
    nodes = [one for one in nodes if gpu_type is None or one.gpu_type == gpu_type]
    times = [
        minutes(site.partitions[partition].get("MaxTime", "")),
        site.qos_minutes.get(qos or ""),
    ]
    submit = [
        *(one.max_submit for one in mine),
        site.qos_max_submit.get(qos or (classes[0] if len(classes) == 1 else "")),
    ]
    return Profile(
        kind="slurm",
        about=f"Partition {partition}: {about(site, partition)}",
        partition=partition,
        account=account,
        qos=qos,
        gpu_type=gpu_type,
        cpus_per_node=max((one.cpus for one in nodes), default=None),
        memory_gb_per_node=max((one.memory_gb for one in nodes), default=None),
        gpus_per_node=max((one.gpus for one in nodes), default=None),
        max_minutes=least(times),
        max_jobs=least(submit),
    )


def least(values: Sequence[int | None]) -> int | None:
    """The smallest of those that are known."""
    return min((value for value in values if value is not None), default=None)


def text_of(profile: Profile) -> str:
    """The profile's file."""
    keys = (
        "kind",
        "about",
        "partition",
        "account",
        "qos",
        "gpu_type",
        "cpus_per_node",
        "memory_gb_per_node",
        "gpus_per_node",
        "max_minutes",
        "max_jobs",
    )
    values: dict[str, Any] = {
        key: getattr(profile, key) for key in keys if getattr(profile, key) is not None
    }
    return (
        "# Written by `orch profile init` from what sinfo, scontrol and sacctmgr say. "
        "docs/reference.md has every key.\n"
        + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
        + "# Lines that every job runs first, and the Python they bring; without them jobs "
        "use orch's own:\n"
        '# setup:\n#   - module load cuda\n#   - source "$HOME/orch-env/bin/activate"\n# '
        "python: python\n"
    )


def prove(profile: Profile) -> str:
    """Have Slurm judge a small job, without submitting it; one line of what it takes. CheckError if
    it would refuse."""
    resources = Resources(cpus=1, memory_gb=1, minutes=10, gpus=min(1, profile.gpus_per_node or 0))
    job = Job(
        name="trial",
        stage="trial",
        axes={},
        engine=None,
        command=("true",),
        config={},
        resources=resources,
    )
    plan = Plan(
        experiment="trial", about="", preset=None, source=Path("trial"), jobs=(job,), identity=""
    )
    problems = check(plan, profile)
    if problems:
        raise CheckError(*problems, "nothing was written")
    return f"Slurm takes a job of {asks_for(resources)} on partition '{profile.partition}'"


def init(out: Path, force: bool, wanted: Wanted) -> list[str]:
    """Write the profile; returns what there is to say. CheckError if there is one already, or a
    choice to make."""
    if out.exists() and not force:
        raise CheckError(
            f"{out} is there already: --force overwrites it, --out writes another file"
        )
    made = profile_of(ask_site(), wanted)
    proof = prove(replace(made, name=out.stem))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text_of(made))
    return [f"{out}: {made.about}" + (f", account {made.account}" if made.account else ""), proof]
