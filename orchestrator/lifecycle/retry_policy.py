"""What follows from the cause of a failure: ask for more, leave a node out, try again, leave it to
a person; and which other jobs would fail of it too. Pure.

Records that have failed go in; ``refusal`` says why another attempt would not help, ``again`` makes
a record ready for one, ``would_fail_alike`` names the jobs of the same stage that would fail of the
same. Launch and retry call the first two (retry.py), every pass the last (decide.py).

A retry asks for GROWTH times as much memory or time as the attempt that failed, at most MOST times
what the plan asks for, and never more than the cluster's profile says a node has.
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
"""How much more a retry asks for, and how many times the plan's request at most. ADVICE in
failure_causes.py says the growth in words."""
ALIKE = 2
"""So many jobs of a stage that failed alike hold the others back."""
GROWS = {Kind.HOST_MEMORY: "memory_gb", Kind.TIME_LIMIT: "minutes"}
"""Of what the next attempt asks for more."""
LEAVES = frozenset({Kind.NODE, Kind.COMMUNICATION})
"""Kinds after which the next attempt leaves the node out."""


def asked(job: Job, record: Record) -> Job:
    """The job with what its next attempt asks for: the plan's request, or more if a retry has
    raised it."""
    if record.memory_gb is None and record.minutes is None:
        return job
    resources = dataclasses.replace(
        job.resources,
        # The larger one: a later launch may ask for more than the retry before it did.
        memory_gb=max(job.resources.memory_gb, record.memory_gb or 0),
        minutes=max(job.resources.minutes, record.minutes or 0),
    )
    return dataclasses.replace(job, resources=resources)


def refusal(job: Job, record: Record, profile: Profile, used: Mapping[str, int] | None) -> str:
    """Why another attempt would end like the last one; empty if it may not.

    Args:
        used: what the last attempt had asked for; None: not known.
    """
    kind = kind_of(record)
    now = dataclasses.asdict(asked(job, record).resources)
    if used is not None and dict(used) != now:
        return ""  # a person asks for something else now
    if kind not in AGAIN:
        return (
            f"{record.name} died of something that another attempt does not change "
            f"({record.reason})"
        )
    key = GROWS.get(kind)
    # At its bound: the same request would be killed in the same way again.
    if key is not None and grown(job, record, profile, key) <= now[key]:
        return f"{record.name} has asked for {key}={now[key]}, the most that may be asked for"
    return ""


def again(job: Job, record: Record, profile: Profile) -> Record:
    """A failed record made ready for its next attempt."""
    kind = kind_of(record)
    # A node that is left out once stays out for all further attempts.
    hosts = {name for name in record.exclude.split(",") if name}
    if kind in LEAVES and record.host:
        hosts.add(record.host)
    ready = replace(
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
    key = GROWS.get(kind)
    if key is None:
        return ready
    return replace(ready, **{key: grown(job, record, profile, key)})


def grown(job: Job, record: Record, profile: Profile, key: str) -> int:
    """What a retry asks for of one resource, within the bounds; never less than before."""
    # A plan of 8 GB grows to 12, 18, 27 and then 32, which is MOST times 8.
    before = int(getattr(asked(job, record).resources, key))
    most = MOST * int(getattr(job.resources, key))
    limit = profile.limits()[key]
    if limit is not None:
        most = min(most, limit)
    return max(before, min(math.ceil(GROWTH * before), most))


def kind_of(record: Record) -> Kind:
    """The kind of failure in a record."""
    return Kind(record.cause) if record.cause else Kind.UNKNOWN


def would_fail_alike(records: Sequence[Record]) -> dict[str, str]:
    """Jobs that have not started and would fail as others of their stage have, each with who failed
    of what.

    A stage of which one job has completed can work, so nothing of it is held back.
    """
    # Asked several times of ten thousand records, of which most often none has failed.
    if sum(record.state in FAILED for record in records) < ALIKE:
        return {}
    stages: dict[str, list[Record]] = {}
    for record in records:
        stages.setdefault(record.stage, []).append(record)
    found: dict[str, str] = {}
    for stage in stages.values():
        failed = failed_alike(stage)
        if len(failed) < ALIKE:
            continue
        held_reason = (
            f"held: {failed[0].name} and {len(failed) - 1} more died of {failed[0].reason}"
        )
        for record in stage:
            if record.state in (JobState.WAITING, JobState.PENDING):
                found[record.name] = held_reason
    return found


def failed_alike(stage: Sequence[Record]) -> list[Record]:
    """The largest group of a stage's jobs that failed of the same, and of something that the
    others would fail of too; none if one of the stage has completed."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in stage:
        if record.state is JobState.COMPLETED:
            return []
        if record.state in FAILED and kind_of(record) in LIKE_SIBLINGS:
            groups.setdefault((record.cause, alike(record.reason)), []).append(record)
    return max(groups.values(), key=len, default=[])
