"""Who has said what of a job's options: its stage, or the cluster's profile.

In: a job of a plan, and the profile. Out: lines for a person. Called by `orch launch --dry-run`,
which prints them over the script that the two make together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jobs.spec import Job
from orchestrator.description.profile import Profile
from orchestrator.description.stage_keys.sbatch_names import by_name


def origins(job: Job, profile: Profile) -> Iterator[str]:
    """A line for each option that the stage or the profile has a word on, with whose word holds."""
    together = profile.with_options(job.options, job.resources.gpus)
    stage = f"stage {job.stage}"
    # On a machine without Slurm these reach nobody.
    if profile.kind == "slurm":
        if together.partition:
            yield f"partition: {together.partition} ({partition_from(job, profile, stage)})"
        for key in ("account", "qos"):
            value = getattr(together, key)
            if value:
                yield f"{key}: {value} ({stage if getattr(job.options, key) else 'profile'})"
        constraint = {"constraint": job.options.constraint} if job.options.constraint else {}
        own = by_name(job.options.sbatch)
        yield from named("further options", together.sbatch, {**own, **constraint}, stage)
    yield from named("environment", together.environment, job.options.environment, stage)
    counts = {"profile": len(profile.setup), stage: len(job.options.setup)}
    said = ", ".join(
        f"{count} line{'s' if count > 1 else ''} ({who})" for who, count in counts.items() if count
    )
    if said:
        yield f"setup: {said}"
    if together.wrap or profile.wrap:
        who = "profile" if job.options.wrap is None else stage
        yield f"wrap: {' '.join(together.wrap) or 'none'} ({who})"


def partition_from(job: Job, profile: Profile, stage: str) -> str:
    """Why a job goes to its partition."""
    word = job.options.partition
    if word is not None:
        return f"{stage}: {word} of the profile" if word in profile.partitions else stage
    automatic = "gpu" if job.resources.gpus else "cpu"
    return f"profile: {automatic}" if automatic in profile.partitions else "profile"


def named(
    key: str, together: Mapping[str, object], own: Mapping[str, object], stage: str
) -> Iterator[str]:
    """The names of a mapping that was merged of both, each with whose value holds."""
    words = []
    for name, value in together.items():
        # `exclusive: false` leaves out what the profile asks for.
        said = f"no {name}" if value is False else name
        words.append(f"{said} ({stage if name in own else 'profile'})")
    if words:
        yield f"{key}: {', '.join(words)}"
