"""The sbatch script of a job, an array or a pack, written through submitit, and the dependency that
it asks for.

In: the cluster's profile, resources, and a ``JobScript``. Out: the text of the script. Called by
``SlurmCluster`` (cluster.py), which submits it or prints it for `orch launch --dry-run`, and by the
trial submissions of `orch check`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.contract.words import ranges
from jobs.spec import Resources
from orchestrator.clusters.batch import Waits, becoming
from orchestrator.clusters.slurm.parse import partition_names
from orchestrator.description.profile import Profile
from orchestrator.description.stage_keys.sbatch_names import by_name

WARNING_SECONDS = 120
"""How long before the time limit a job gets SIGUSR2."""
CPUS = {"cpus-per-task", "cpus-per-gpu"}
MEMORY = {"mem", "mem-per-cpu", "mem-per-gpu"}
GPUS = {"gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket"}
"""Options of sbatch that say the same thing in several ways."""
NAME_BYTES = 255
"""How much of a job's name accounting keeps; sbatch refuses names of a thousand."""
LOOK_SECONDS = 30
"""Slurm checks time limits this often, and warns that much earlier rather than late."""


def dependency(waits: Waits) -> str:
    """What a batch waits for, in the words of ``sbatch --dependency``."""
    if waits.same_pack is not None:
        # In Slurm's list "?" means or, "," means and; a list holds one kind only.
        return f"aftercorr:{waits.same_pack}?afterany:{waits.same_pack}"
    kinds = {"afterok": waits.all, "aftercorr": waits.same_index, "afterany": waits.ended}
    return ",".join(f"{kind}:{':'.join(ids)}" for kind, ids in kinds.items() if ids)


@dataclass(frozen=True, kw_only=True)
class JobScript:
    """What one sbatch script says besides the profile and the resources."""

    name: str
    log: Path
    """``%a`` in its name: the index of an array's element."""
    command: Sequence[str]
    """Takes the place of the script's shell."""
    launcher: str = ""
    """What starts the command in its own way, if it works on the node; empty: nothing."""
    dependency: str = ""
    """In the words of ``sbatch --dependency``; empty: none."""
    indexes: Sequence[int] = ()
    """Of the elements of an array; empty: a single job or pack."""
    exclude: str = ""
    """Nodes that it may not run on, with commas between."""


def job_name(title: str, token: str) -> str:
    """What Slurm calls a job: the title, cut where it is too long for the token to be kept."""
    end = f".{token}"
    room = NAME_BYTES - len(end.encode())
    # Bytes, and no half of a letter: accounting cuts by bytes.
    return title.encode()[:room].decode(errors="ignore") + end


def script_text(profile: Profile, resources: Resources, job: JobScript) -> str:
    """The sbatch script: submitit's text, with the profile's set-up and one command.

    Args:
        profile: as it holds for this job (``Profile.with_options``).
    """
    # submitit's own submission is not used (docs/decisions.md), and the function that makes the
    # text has no public name. pyproject.toml bounds the version for it.
    from submitit.slurm.slurm import _make_sbatch_string

    # What the profile says goes before what orch asks for, whatever its spelling.
    asked = {name: value for name, value in further(profile).items() if name != "gres"}
    text: str = _make_sbatch_string(
        # The signal of --signal=B: then reaches the node's program.
        command=becoming(job.command, job.launcher),
        folder=job.log.parent,
        job_name=job.name,
        time=resources.minutes,  # an int: submitit multiplies it
        nodes=resources.nodes,
        ntasks_per_node=1,
        cpus_per_task=None if asked.keys() & CPUS else resources.cpus,
        **({} if asked.keys() & MEMORY else memory(profile, resources)),
        gres=gres(profile, resources),
        # Slurm's lists have no spaces.
        partition=",".join(partition_names(profile.partition)) or None,
        account=profile.account,
        qos=profile.qos,
        dependency=job.dependency or None,
        exclude=excluded(profile, job) or None,
        setup=profile.set_up_lines(),
        wckey=None,  # sites that enforce wckeys would refuse one
        stderr_to_stdout=True,
        # Within a step of ours an srun of the user's own command would wait for ever.
        use_srun=False,
        additional_parameters={**own_options(profile, resources, job), **asked},
    )
    return text


def excluded(profile: Profile, job: JobScript) -> str:
    """The nodes that it may not run on: those of the options, and those that it has failed of."""
    asked = by_name(profile.sbatch).get("exclude", "")
    return ",".join(str(nodes) for nodes in (asked, job.exclude) if nodes)


def further(profile: Profile) -> dict[str, str | int | float | bool]:
    """The further options of sbatch; `false` is one that is left out."""
    # `exclude` stands with the nodes that the job has failed of.
    return {
        name: value
        for name, value in by_name(profile.sbatch).items()
        if value is not False and name != "exclude"
    }


def own_options(profile: Profile, resources: Resources, job: JobScript) -> dict[str, Any]:
    """Options of sbatch that submitit has no parameters for. The profile's come after them."""
    # A job of a few minutes is warned after half of its time at the earliest.
    warning = min(WARNING_SECONDS, max(1, resources.minutes * 30 - LOOK_SECONDS))
    # In the folder's name a percent sign is none of Slurm's patterns.
    folder = str(job.log.parent).replace("%", "%%")
    options: dict[str, Any] = {
        "output": f"{folder}/{job.log.name}",
        # B: the batch script alone gets the signal. The node's program passes it on.
        "signal": f"B:USR2@{warning}",
        # Where the site's default is no requeue, `scontrol requeue` would be refused.
        "requeue": True,
    }
    if job.indexes:
        throttle = f"%{profile.throttle}" if profile.throttle else ""
        options["array"] = ranges(job.indexes) + throttle
    if job.dependency:
        # By Slurm's default a child stays in the queue for ever once its parent has failed.
        options["kill-on-invalid-dep"] = "yes"
    return options


def gres(profile: Profile, resources: Resources) -> str | None:
    """The GPUs that a job asks for on each node, in the words of the profile where it has its own,
    and what else of generic resources the profile asks for; None: nothing."""
    options = further(profile)
    own = str(options.get("gres", ""))
    if not resources.gpus or options.keys() & GPUS or own.startswith("gpu") or ",gpu" in own:
        return own or None
    kind = f"gpu:{profile.gpu_type}" if profile.gpu_type else "gpu"
    gpus = f"{kind}:{resources.gpus}"
    return f"{gpus},{own}" if own else gpus


def memory(profile: Profile, resources: Resources) -> dict[str, str]:
    """A job's memory as the site counts it, rounded up to whole MB; a job without GPUs asks per
    node where it counts by GPU."""
    parts = {"gpu": resources.gpus, "cpu": resources.cpus}.get(profile.memory_per, 0)
    if not parts:
        return {"mem": f"{resources.memory_gb}G"}
    return {f"mem_per_{profile.memory_per}": f"{math.ceil(resources.memory_gb * 1024 / parts)}M"}
