"""What follows from a cause of death: ask for more, leave a node out, try again, leave it to a
person; and whom it concerns too.

Bounds: a retry asks for 1.5 times as much memory or time as the attempt that died, at most four
    times what the plan asks for, and never more than the cluster's profile says a node has.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from jobs.spec import Job
from orchestrator.description.profile import Profile
from orchestrator.lifecycle.failure_causes import AGAIN, LIKE_SIBLINGS, Kind, alike
from orchestrator.runs.record import FAILED, JobState, Record

GROWTH, MOST = 1.5, 4
"""How much more a retry asks for, and how many times the plan's request at most."""
ALIKE = 2
"""So many jobs of a stage that died alike hold the others back."""
GROWS = {Kind.HOST_MEMORY: "memory_gb", Kind.TIME_LIMIT: "minutes"}
LEAVES = frozenset({Kind.NODE, Kind.COMMUNICATION})


def asked(job: Job, record: Record) -> Job:
    """The job with what its next attempt asks for: the plan's request, or more if a retry has
    raised it."""
    if record.memory_gb is None and record.minutes is None:
        return job
    resources = dataclasses.replace(
        job.resources,
        memory_gb=max(job.resources.memory_gb, record.memory_gb or 0),
        minutes=max(job.resources.minutes, record.minutes or 0),
    )
    return dataclasses.replace(job, resources=resources)


def refusal(job: Job, record: Record, profile: Profile, used: Mapping[str, int] | None) -> str:
    """Why another attempt would end like the last one; empty if it may not. ``used``: what the last
    one had asked for."""
    kind = kind_of(record)
    if used is not None and dict(used) != dataclasses.asdict(asked(job, record).resources):
        return ""  # a person asks for something else now
    if kind not in AGAIN:
        return (
            f"{record.name} died of something that another attempt does not change "
            f"({record.reason})"
        )
    key = GROWS.get(kind)
    if key is not None and grown(job, record, profile, key) <= getattr(
        asked(job, record).resources, key
    ):
        return (
            f"{record.name} has asked for {key}={getattr(asked(job, record).resources, key)}, "
            "the most that may be asked for"
        )
    return ""


def again(job: Job, record: Record, profile: Profile) -> Record:
    """A failed record made ready for its next attempt."""
    kind = kind_of(record)
    key = GROWS.get(kind)
    more = grown(job, record, profile, key) if key is not None else None
    hosts = {
        name
        for name in [*record.exclude.split(","), record.host or "" if kind in LEAVES else ""]
        if name
    }
    record = replace(
        record,
        state=JobState.WAITING,
        token="",
        job_id=None,
        reason="",
        waits_on=None,
        doubt=None,
        cause="",
        died_of="",
        held=False,
        exclude=",".join(sorted(hosts)),
    )
    if key == "memory_gb":
        return replace(record, memory_gb=more)
    return replace(record, minutes=more) if key == "minutes" else record


def grown(job: Job, record: Record, profile: Profile, key: str) -> int:
    """What a retry asks for of one resource, within the bounds; never less than before."""
    before, planned = (
        int(getattr(asked(job, record).resources, key)),
        int(getattr(job.resources, key)),
    )
    limit = profile.limits()[key]
    most = min(MOST * planned, limit) if limit is not None else MOST * planned
    return max(before, min(math.ceil(GROWTH * before), most))


def kind_of(record: Record) -> Kind:
    """The kind of death in a record."""
    return Kind(record.cause) if record.cause else Kind.UNKNOWN


def doomed(records: Sequence[Record]) -> dict[str, str]:
    """Jobs that have not started and would die as others of their stage have, each with who died of
    what.

    A stage of which one job has completed can work, so nothing of it is held back.
    """
    stages: dict[str, list[Record]] = {}
    for record in records:
        stages.setdefault(record.stage, []).append(record)
    found = {}
    for stage in stages.values():
        if any(record.state is JobState.COMPLETED for record in stage):
            continue
        dead: dict[tuple[str, str], list[Record]] = {}
        for record in stage:
            if record.state in FAILED and kind_of(record) in LIKE_SIBLINGS:
                dead.setdefault((record.cause, alike(record.reason)), []).append(record)
        worst = max(dead.values(), key=len, default=[])
        if len(worst) >= ALIKE:
            told = f"held: {worst[0].name} and {len(worst) - 1} more died of {worst[0].reason}"
            found.update(
                {
                    record.name: told
                    for record in stage
                    if record.state in (JobState.WAITING, JobState.PENDING)
                }
            )
    return found
