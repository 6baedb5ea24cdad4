"""The sbatch script of a batch, written through submitit, and the dependency that it asks for.

A batch and what it waits for go in, the text of the script comes out; the cluster submits it, `orch
launch --dry-run` prints it.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.spec import Job, Resources
from orchestrator.clusters.batch import Waits, ranges
from orchestrator.description.profile import Profile

WARNING_SECONDS = 120
"""How long before the time limit a job gets SIGUSR2; a job of a few minutes gets it after half of
its time at the earliest."""


LOOK_SECONDS = 30
"""Slurm looks at time limits this often, and warns that much earlier rather than late."""


def dependency(waits: Waits) -> str:
    """What a batch waits for, in the words of ``sbatch --dependency``."""
    if waits.same_pack is not None:
        return f"aftercorr:{waits.same_pack}?afterany:{waits.same_pack}"
    kinds = {"afterok": waits.all, "aftercorr": waits.same_index, "afterany": waits.ended}
    return ",".join(f"{kind}:{':'.join(ids)}" for kind, ids in kinds.items() if ids)


def script_text(
    profile: Profile,
    job: Job,
    name: str,
    log: Path,
    after: str,
    command: Sequence[str],
    indexes: Sequence[int] = (),
    exclude: str = "",
) -> str:
    """The sbatch script: submitit's text, with the profile's set-up and one command that takes the
    shell's place.

    No srun (``use_srun=False``), hence ``B:`` so that the signal reaches the batch step; the time
    limit is an int because submitit multiplies it; no wckey, which sites that enforce wckeys would
    refuse.
    """
    from submitit.slurm.slurm import _make_sbatch_string

    resources = job.resources
    gpu = (
        f"gpu:{profile.gpu_type}:{resources.gpus}" if profile.gpu_type else f"gpu:{resources.gpus}"
    )
    warning = min(WARNING_SECONDS, max(1, resources.minutes * 30 - LOOK_SECONDS))
    output = str(log.parent).replace("%", "%%") + f"/{log.name}"
    further: dict[str, Any] = {"output": output, "signal": f"B:USR2@{warning}", "requeue": True}
    if indexes:
        further["array"] = ranges(indexes) + (f"%{profile.throttle}" if profile.throttle else "")
    if after:
        further["kill-on-invalid-dep"] = "yes"
    text: str = _make_sbatch_string(
        command=f"exec {shlex.join(command)}",
        folder=log.parent,
        job_name=name,
        time=resources.minutes,
        nodes=resources.nodes,
        ntasks_per_node=1,
        cpus_per_task=resources.cpus,
        **memory(profile, resources),
        gres=gpu if resources.gpus else None,
        partition=profile.partition,
        account=profile.account,
        qos=profile.qos,
        dependency=after or None,
        exclude=exclude or None,
        setup=set_up(profile),
        wckey=None,
        stderr_to_stdout=True,
        use_srun=False,
        additional_parameters={**further, **profile.sbatch},
    )
    return text


def memory(profile: Profile, resources: Resources) -> dict[str, str]:
    """A job's memory as the site counts it, rounded up to whole MB; a job without GPUs asks per
    node where it counts by GPU."""
    parts = {"gpu": resources.gpus, "cpu": resources.cpus}.get(profile.memory_per, 0)
    if not parts:
        return {"mem": f"{resources.memory_gb}G"}
    return {f"mem_per_{profile.memory_per}": f"{math.ceil(resources.memory_gb * 1024 / parts)}M"}


def set_up(profile: Profile) -> list[str]:
    """Shell lines before the command. One that fails ends the job, and its message is the last line
    of the log."""
    return [
        "export PYTHONSAFEPATH=1",
        *profile.exports(),
        *(["set -e", *profile.setup] if profile.setup else []),
    ]
