"""Ask Slurm about a plan before anything is submitted: partition, GPU type, time limit, account,
and a trial submission of each kind of job.

In: a plan and a profile. Out: one line for each thing that would not work, with what to do. Called
by ``orchestrator.checks.launch``.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.contract.counting.counts import counted
from engines.contract.words import near
from jobs.spec import Job, Resources
from orchestrator.checks.unavailable import waits_for_nodes
from orchestrator.clusters.slurm import queries
from orchestrator.clusters.slurm.gpus import gpus_in
from orchestrator.clusters.slurm.parse import minutes, parse_partitions, partition_names
from orchestrator.clusters.slurm.rows import nothing_readable
from orchestrator.clusters.slurm.script import JobScript, script_text
from orchestrator.clusters.slurm.submission import limit_named
from orchestrator.description.profile import Profile
from orchestrator.errors import CheckError
from orchestrator.node.slurm.environment import ANSWERS, IN_ITS_PLACE, PREFIXES, left_out
from orchestrator.node.slurm.variables import EVERYWHERE, SBATCH
from orchestrator.planning.plan import Plan

Script = Callable[[Job], str]
"""A job's sbatch script, as it would be submitted."""


def slurm(
    plan: Plan,
    profile: Profile,
    script: Script,
    tell: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """What Slurm itself says: partition, GPU type, time limit, account, and a trial submission of
    each kind of job."""
    problems: list[str] = []
    for line in unheard(profile):
        tell(line)
    try:
        # From the cheap and plain to the thorough. A program that does not answer ends the checks:
        # the next ones would have to wait for it as well.
        found = shapes(plan, profile)
        problems += partitions(found, profile.cluster)
        problems += gpu_types(found)
        problems += accounts(found, profile)
        problems += trials(found, script, tell, warn)
    except CheckError as error:
        problems += error.lines
    return problems


def unheard(profile: Profile) -> Iterator[str]:
    """Which of the user's own variables of Slurm's programs count, and which do not."""
    counts = [
        name
        for name, key in IN_ITS_PLACE.items()
        if os.environ.get(name) and os.environ[name] == getattr(profile, key)
    ]
    if counts:
        yield f"{', '.join(counts)} of your environment: the profile says the same, or nothing else"
    known = {*EVERYWHERE, *SBATCH}
    dropped = {name for program in PREFIXES for name in left_out(program, os.environ)}
    # Inside of a job there are many SLURM_* that only describe it.
    dropped = {name for name in dropped if not name.startswith("SLURM_") or name in known}
    if named := sorted(dropped - {*counts, *ANSWERS}):
        yield (
            f"{', '.join(named)} of your environment: left out of every call of Slurm; the profile "
            "and the stages say what holds"
        )
    if profile.cluster is None and dropped & {"SLURM_CLUSTERS", "SBATCH_CLUSTERS"}:
        yield f"jobs go to this machine's cluster; another one is `cluster:` in '{profile.name}'"


def who(jobs: Sequence[Job]) -> str:
    """``job 'a'``, ``jobs 'a' and 5 more``."""
    first = jobs[0].name
    if len(jobs) == 1:
        return f"job '{first}'"
    return f"jobs '{first}' and {len(jobs) - 1} more"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Jobs that ask for the same."""

    resources: Resources
    profile: Profile
    """As it holds for them, with the options of their stage."""
    jobs: list[Job]


def shapes(plan: Plan, profile: Profile) -> list[Shape]:
    """Jobs by what they ask for."""
    found: dict[tuple[Resources, str], list[Job]] = {}
    for job in plan.jobs:
        # Options hold lists and mappings, which are no keys; their text is.
        options = json.dumps(job.options.given(), sort_keys=True)
        found.setdefault((job.resources, options), []).append(job)
    return [
        Shape(
            resources=resources,
            profile=profile.with_options(jobs[0].options, resources.gpus),
            jobs=jobs,
        )
        for (resources, _), jobs in found.items()
    ]


def whose(shape: Shape) -> str:
    """Who has named the partition, account or QOS of these jobs, or may have: the file in which to
    look first."""
    if shape.jobs[0].options.given():
        return f"stage '{shape.jobs[0].stage}'"
    return f"profile '{shape.profile.name}'"


def partitions(found: Sequence[Shape], cluster: str | None) -> list[str]:
    """The partitions exist, are up, and take the time limits."""
    reply = queries.partitions(cluster)
    if reply.failed:
        raise CheckError(
            f"Slurm: scontrol failed ({reply.trouble}): the controller cannot be asked; look "
            "with `scontrol ping`"
        )
    # Asked even where the profile names none: that the controller answers is worth knowing.
    known = parse_partitions(reply.text)
    if not known:
        raise CheckError(f"Slurm: scontrol: {nothing_readable(reply.text)}: look with `sinfo`")
    problems = []
    for shape in found:
        problems += partition(shape, known)
    return list(dict.fromkeys(problems))


def partition(shape: Shape, known: dict[str, dict[str, str]]) -> list[str]:
    """What is wrong with the partition of these jobs."""
    if shape.profile.partition is None:
        return []
    problems = []
    longest: int | None = 0
    # "gpu,debug": whichever starts the job first; by Slurm's default one that takes it is enough.
    for name in partition_names(shape.profile.partition):
        if name not in known:
            where = whose(shape)
            problems.append(f"{where}: this cluster has no partition '{name}'{near(name, known)}")
            continue
        if known[name].get("State", "UP") != "UP":
            problems.append(
                f"partition '{name}' is {known[name]['State']}: jobs would wait; choose another one"
            )
        most = minutes(known[name].get("MaxTime", "UNLIMITED"))
        longest = None if most is None or longest is None else max(longest, most)
    if longest and shape.resources.minutes > longest:
        problems.append(
            f"{who(shape.jobs)}: minutes={shape.resources.minutes} is more than the {longest} that "
            f"partition '{shape.profile.partition}' takes: "
            f"--set {shape.jobs[0].stage}.resources.minutes={longest}"
        )
    return problems


def gpu_types(found: Sequence[Shape]) -> list[str]:
    """Nodes of the partitions have GPUs of the type asked for."""
    by_partition: dict[str | None, list[Shape]] = {}
    for shape in found:
        if shape.resources.gpus:
            by_partition.setdefault(shape.profile.partition, []).append(shape)
    problems = []
    for shape in found:
        if shape.resources.gpus and "gres" in shape.profile.sbatch:
            problems.append(
                f"profile '{shape.profile.name}': sbatch: gres would take the place of the GPUs "
                f"that {who(shape.jobs)} asks for: keep a profile of its own for jobs without GPUs"
            )
            break
    for shapes_there in by_partition.values():
        jobs = [job for shape in shapes_there for job in shape.jobs]
        problems += gpu_type(shapes_there[0].profile, jobs)
    return problems


def gpu_type(profile: Profile, jobs: Sequence[Job]) -> list[str]:
    """Whether the partition of these jobs has GPUs of the profile's type."""
    names = ",".join(partition_names(profile.partition))
    reply = queries.gpus(names or None, profile.cluster)
    if reply.failed:
        raise CheckError(
            f"Slurm: sinfo failed ({reply.trouble}): GPU types cannot be asked; try again, or "
            "`scontrol ping`"
        )
    found = [kind for line in reply.text.splitlines() for kind, _ in gpus_in(line)]
    where = f"partition '{profile.partition}'" if profile.partition else "this cluster"
    if not found:
        return [
            f"{who(jobs)}: GPUs are asked for, and {where} has no node with GPUs: choose "
            "another partition in the profile"
        ]
    if profile.gpu_type and profile.gpu_type not in found:
        named = [name for name in found if name]
        return [
            f"profile '{profile.name}': {where} has no GPU of type "
            f"'{profile.gpu_type}'{near(profile.gpu_type, named)}"
        ]
    return []


def accounts(found: Sequence[Shape], profile: Profile) -> list[str]:
    """The user may use the accounts and the QOS. A cluster without accounting ignores both, so
    there is nothing to check."""
    if not any(shape.profile.account or shape.profile.qos for shape in found):
        return []
    reply = queries.associations("account", "qos", cluster=profile.cluster)
    if reply.no_accounting:
        return []
    if reply.failed:
        return [
            f"Slurm: sacctmgr failed ({reply.trouble}): account and QOS could not be checked; "
            "try again"
        ]
    known: dict[str, set[str]] = {}
    for line in reply.text.splitlines():
        # "physics|normal,long": an account may come several times, once for each partition.
        name, bar, classes = line.partition("|")
        if bar:
            known.setdefault(name.lower(), set()).update(filter(None, classes.lower().split(",")))
    problems = []
    for shape in found:
        same = (shape.profile.account, shape.profile.qos) == (profile.account, profile.qos)
        where = f"profile '{profile.name}'" if same else f"stage '{shape.jobs[0].stage}'"
        problems += account(shape.profile, known, where)
    return list(dict.fromkeys(problems))


def account(profile: Profile, known: dict[str, set[str]], where: str) -> list[str]:
    """Whether an account, and a QOS with it, is among those that are known with their QOS. Both are
    lower case in Slurm, which takes them in any."""
    user = getpass.getuser()
    if profile.account is not None and profile.account.lower() not in known:
        return [
            f"{where}: user {user} has no account "
            f"'{profile.account}'{near(profile.account, sorted(known))}"
        ]
    allowed = (
        known[profile.account.lower()]
        if profile.account is not None
        else set().union(*known.values())
    )
    if profile.qos is not None and profile.qos.lower() not in allowed:
        place = f" with account '{profile.account}'" if profile.account else ""
        return [
            f"{where}: user {user} has no QOS "
            f"'{profile.qos}'{place}{near(profile.qos, sorted(allowed))}"
        ]
    return []


def trials(
    found: Sequence[Shape],
    script: Script,
    tell: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """`sbatch --test-only` of one job of each shape: Slurm's own word, without submitting."""
    problems = []
    for shape in counted("asking Slurm whether it would take jobs", found):
        jobs = shape.jobs
        reply = queries.trial_submission(script(jobs[0]), shape.profile.cluster)
        if has_whole_nodes(shape.profile):
            warn(
                f"{who(jobs)}: exclusive: the whole node is charged for it, with all of its GPUs "
                "and CPUs; orch counts what was asked for"
            )
        # When it would start is not told: sbatch --test-only adds up the time limits of all that
        # waits, and names a day in the year 2090 or the evening of an idle day. squeue knows better
        # once the job is there.
        if not reply.failed:
            tell(f"{who(jobs)}: Slurm accepts it")
        # A limit on how many jobs are queued means wait.
        elif limit_named(reply.trouble) is None:
            reason = reply.trouble.replace("sbatch: error: ", "").replace(
                "allocation failure: ", ""
            )
            waited_for = waits_for_nodes(shape.resources, shape.profile, reason)
            if waited_for is None:
                problems.append(
                    f"{who(jobs)}: Slurm would refuse: {reason}: change the stage's resources "
                    "or the cluster profile"
                )
            else:
                warn(
                    f"{who(jobs)}: no node that it fits on takes jobs now; it will wait for "
                    f"{waited_for}"
                )
    return problems


def has_whole_nodes(profile: Profile) -> bool:
    """Whether its jobs have their nodes for themselves. `exclusive: user` and `mcs` shut out other
    people, and leave the request as it is."""
    return str(profile.sbatch.get("exclusive", "false")).lower() in ("true", "")


def header(job: Job, profile: Profile) -> str:
    """The script that would be submitted, but for what it runs and waits for."""
    trial = JobScript(name=f"check.{job.stage}", log=Path("/dev/null"), command=["true"])
    own = profile.with_options(job.options, job.resources.gpus)
    return script_text(own, job.resources, trial)
