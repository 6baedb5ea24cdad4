"""Write a cluster profile from what Slurm says of the site, for `orch profile init`.

In: a `Site`, and what a person chose. Out: the profile's file, once Slurm has taken a small job of
it on trial. Where there is more than one partition, account or GPU type and none was chosen, the
error names the choices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engines.contract.words import near
from engines.contract.written.reading import yaml_text
from jobs.spec import Job, Resources, asks_for
from orchestrator.checks.launch import check
from orchestrator.checks.site import Association, Nodes, Site, ask_site
from orchestrator.clusters.slurm.parse import minutes, partition_names
from orchestrator.description.profile import Profile
from orchestrator.errors import CheckError
from orchestrator.planning.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a person has chosen; None: the only one there is."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    gpu_type: str | None = None


def chosen(what: str, option: str, wanted: str | None, choices: Mapping[str, str]) -> str | None:
    """The one that is wanted, or the only one; None if there is none to choose from.

    Args:
        what: What is chosen, for the error.
        option: How to choose it on the command line, for the error.
        wanted: A person's choice.
        choices: Names, with a few words on each or an empty text.

    Raises:
        CheckError: There is no such one, or several and none is wanted; names the choices.
    """
    if wanted is not None:
        if wanted not in choices:
            raise CheckError(
                f"{option} {wanted}: no such {what} for you here{near(wanted, choices)}"
            )
        return wanted
    if len(choices) > 1:
        listed = []
        # By name: versions of Slurm give them in another order.
        for name, about in sorted(choices.items()):
            listed.append(f"{name} ({about})" if about else name)
        raise CheckError(
            f"there are {len(choices)} {what}s: choose one with {option}: {'; '.join(listed)}"
        )
    return next(iter(choices), None)


def usable(site: Site) -> list[str]:
    """Partitions that are up and take one of the user's accounts; of these those with GPUs, if
    there are any."""
    accounts = {association.account.lower() for association in site.associations}
    names = []
    for name, fields in site.partitions.items():
        allowed = allowed_accounts(site, name)
        # A cluster without accounting lists no accounts, and then refuses none.
        open_to_user = allowed is None or not accounts or bool(accounts & allowed)
        # Who is to use a hidden one is told its name.
        is_shown = fields.get("Hidden", "NO") != "YES"
        if fields.get("State", "UP") == "UP" and open_to_user and is_shown:
            names.append(name)
    # Who trains models means these; another one can still be named with --partition.
    with_gpus = {nodes.partition for nodes in site.nodes if nodes.gpus}
    return [name for name in names if name in with_gpus] or names


def allowed_accounts(site: Site, partition: str) -> set[str] | None:
    """The accounts that a partition, or one of several, takes, in lower case; None: all."""
    listed = [
        site.partitions[name].get("AllowAccounts", "ALL") for name in partition_names(partition)
    ]
    return None if "ALL" in listed else set(",".join(listed).lower().split(","))


def about(site: Site, partition: str) -> str:
    """A partition, or several, in a few words."""
    names = partition_names(partition)
    kinds = set()
    for nodes in site.nodes:
        if nodes.partition in names and nodes.gpus:
            kinds.add(f"{nodes.gpus} {nodes.gpu_type or 'GPU'}")
    longest = " or ".join(
        dict.fromkeys(site.partitions[name].get("MaxTime", "?") for name in names)
    )
    return f"{', '.join(sorted(kinds)) or 'no GPU'}, up to {longest}"


def profile_of(site: Site, wanted: Wanted) -> Profile:
    """The profile. CheckError where there is a choice that was not made."""
    partition = choose_partition(site, wanted.partition)
    associations = choose_account(site, partition, wanted.account)
    qos = choose_qos(associations, wanted.qos)
    nodes = choose_nodes(site, partition, wanted.gpu_type)
    return Profile(
        kind="slurm",
        about=f"Partition {partition}: {about(site, partition)}",
        partition=partition,
        account=associations[0].account if associations else None,
        qos=qos,
        # All nodes are of one type, or none was there to choose.
        gpu_type=next((each.gpu_type for each in nodes if each.gpu_type), None),
        # The largest node: a job that fits it can run somewhere in the partition.
        cpus_per_node=max((each.cpus for each in nodes), default=None),
        memory_gb_per_node=max((each.memory_gb for each in nodes), default=None),
        gpus_per_node=max((each.gpus for each in nodes), default=None),
        max_minutes=longest_minutes(site, partition, qos),
        max_jobs=most_queued_jobs(site, associations, qos),
    )


def choose_partition(site: Site, wanted: str | None) -> str:
    """The wanted partition, whichever it is, or the only one that the user can use."""
    # A person may know better than the site's answers what they may use.
    names = list(site.partitions) if wanted else usable(site)
    choices = {name: about(site, name) for name in names}
    several = partition_names(wanted)
    if len(several) > 1:
        # Whichever of them starts a job first.
        return ",".join(str(chosen("partition", "--partition", name, choices)) for name in several)
    partition = chosen("partition", "--partition", wanted, choices)
    if partition is None:
        raise CheckError(
            "Slurm shows no partition that you may use: ask the site's support, or look "
            "at scontrol show partition"
        )
    return partition


def choose_account(site: Site, partition: str, wanted: str | None) -> list[Association]:
    """What the user may use in the partition with one account; empty without accounting."""
    allowed = allowed_accounts(site, partition)
    associations = []
    for association in site.associations:
        # An association without a partition is for all of them.
        is_here = association.partition in ("", *partition_names(partition))
        if is_here and (allowed is None or association.account.lower() in allowed):
            associations.append(association)
    choices = {association.account: "" for association in associations}
    account = chosen("account", "--account", as_slurm_has_it(wanted, choices), choices)
    return [association for association in associations if association.account == account]


def choose_qos(associations: Sequence[Association], wanted: str | None) -> str | None:
    """The wanted QOS. Without a wish None: Slurm then takes the association's default one."""
    if not wanted:
        return None
    choices = dict.fromkeys(all_qos(associations), "")
    return chosen("QOS", "--qos", as_slurm_has_it(wanted, choices), choices)


def as_slurm_has_it(wanted: str | None, names: Iterable[str]) -> str | None:
    """An account or QOS as Slurm writes it: in lower case, while it takes them in any."""
    same = (name for name in names if wanted is not None and name.lower() == wanted.lower())
    return next(same, wanted)


def all_qos(associations: Sequence[Association]) -> list[str]:
    """Every quality of service that the associations allow."""
    return [name for association in associations for name in association.qos]


def choose_nodes(site: Site, partition: str, wanted: str | None) -> list[Nodes]:
    """The partition's nodes: those with the wanted GPU type, or with the only one there is."""
    nodes = [each for each in site.nodes if each.partition in partition_names(partition)]
    choices = {each.gpu_type: "" for each in nodes if each.gpu_type}
    gpu_type = chosen("GPU type", "--gpu-type", wanted, choices)
    if gpu_type is None:
        return nodes
    return [each for each in nodes if each.gpu_type == gpu_type]


def longest_minutes(site: Site, partition: str, qos: str | None) -> int | None:
    """The longest time limit that both the partition and the QOS take."""
    longest = [
        minutes(site.partitions[name].get("MaxTime", "")) for name in partition_names(partition)
    ]
    # Of several the one that takes the longest job is enough; None takes any.
    of_partition = None if None in longest else max(most for most in longest if most is not None)
    return least([of_partition, site.qos_minutes.get(qos or "")])


def most_queued_jobs(
    site: Site, associations: Sequence[Association], qos: str | None
) -> int | None:
    """How many jobs the user may have in the queue, by the associations and by the QOS."""
    names = all_qos(associations)
    if qos is None and len(names) == 1:
        # The only one there is must be the default one.
        qos = names[0]
    limits = [association.max_submit for association in associations]
    return least([*limits, site.qos_max_submit.get(qos or "")])


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
        + yaml_text(values)
        + "# Lines that every job runs first, and the Python they bring. Without them engines use "
        "orch's own, and\n# the python of a command is that of the shell that launches:\n"
        '# setup:\n#   - module load cuda\n#   - source "$HOME/orch-env/bin/activate"\n# '
        "python: python\n"
    )


def prove(profile: Profile) -> str:
    """Have Slurm judge a small job, without submitting it; one line of what it takes. CheckError if
    it would refuse."""
    # Small, so that a refusal is about partition, account or GPU type, and not about the size.
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
    # Proved before it is written: a file that is there will be used by the next launch.
    made = profile_of(ask_site(), wanted)
    proof = prove(replace(made, name=out.stem))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text_of(made))
    return [f"{out}: {made.about}" + (f", account {made.account}" if made.account else ""), proof]
