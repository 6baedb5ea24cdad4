"""What follows from the cause of a failure: ask for more, leave a node out, try again, leave it to
a person; and which other jobs would fail of it too. Pure.

Records that have failed go in; ``refusal`` says why another attempt would not help, ``again`` makes
a record ready for one, ``would_fail_alike`` names the jobs of the same stage that would fail of the
same. Launch and retry call the first two (retry.py), every pass the last (decide.py). In an
experiment with `retry`, ``by_themselves`` does what `orch retry` would, within bounds, in every
pass.

A retry asks for GROWTH times as much memory or time as the attempt that failed, at most MOST times
what the plan asks for, and never more than the cluster's profile says a node has.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from jobs.spec import Job
from orchestrator.description.profile import Profile
from orchestrator.lifecycle.deaths.kinds import AGAIN, EVERYWHERE, WITH_THESE_VALUES, Kind
from orchestrator.lifecycle.failure_causes import alike
from orchestrator.runs.record import FAILED, JobState, Record, Wait
from orchestrator.runs.rules import GRACE_SECONDS
from orchestrator.runs.run import Run

GROWTH, MOST = 1.5, 4
"""How much more a retry asks for, and how many times the plan's request at most. ADVICE in
failure_causes.py says the growth in words."""
ALIKE = 2
"""So many jobs of a stage that failed alike hold the others back."""
KINDS = {kind.value: kind for kind in Kind}
"""By their words, as records hold them; asked of every record at every look."""
GROWS = {
    Kind.HOST_MEMORY: "memory_gb",
    # Slurm counts what lies in /dev/shm as memory of the job.
    Kind.SHARED_MEMORY: "memory_gb",
    Kind.TIME_LIMIT: "minutes",
}
"""Of what the next attempt asks for more."""
LEAVES = frozenset({Kind.NODE, Kind.COMMUNICATION, Kind.SITE, Kind.FILE_SYSTEM, Kind.CRASH})
"""Kinds after which the next attempt leaves the node out."""
OF_ONE_FILE = frozenset({Kind.FILE, Kind.BROKEN_FILE, Kind.PERMISSION})
"""Kinds of which two jobs have died alike only if they name the same file."""


NODE_FAILURE = re.compile(r"Node failure on ([\w.-]*\w)(?![\w.\[-])")
"""What srun says of a node that is lost: the only one that names it. Of ``a100-[1-2]``, two nodes,
there is no match."""


@dataclass(frozen=True, kw_only=True)
class Past:
    """What is known of a job that has failed, besides its record."""

    step: int | None = None
    """The newest step of its progress; None: it reports none."""
    lost: int = 0
    """How many starts of its newest attempt ended without a word, and were begun again by the
    scheduler: their node was lost."""
    largest: Mapping[str, int] | None = field(default_factory=dict)
    """What it may ask for at most, as far as the scheduler says; None: it could not be asked."""


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
    if kind in LEAVES:
        hosts |= failed_node(record)
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
        due=False,
        exclude=",".join(sorted(hosts)),
    )
    key = GROWS.get(kind)
    if key is None:
        return ready
    return replace(ready, **{key: grown(job, record, profile, key)})


def failed_node(record: Record) -> set[str]:
    """The one node that failed; none where it is not known which of several it was."""
    named = NODE_FAILURE.search(record.died_of)
    if named is not None:
        return {named[1]}
    # "a100-[1-2]": accounting names all nodes of a job, and most of them are sound.
    if not record.host or "[" in record.host or "," in record.host:
        return set()
    return {record.host}


def by_themselves(run: Run, records: Sequence[Record], pasts: Mapping[str, Past]) -> list[Record]:
    """The records with those made ready that the experiment lets be submitted again by themselves,
    and what Slurm has cancelled because it needed one of them; of the others the reason says why
    not."""
    if not run.plan.retry:
        return list(records)
    found = {record.name: record for record in records}
    # Jobs that were submitted again by themselves, and those that need one.
    touched: set[str] = set()
    # Parents come first in the plan.
    for job in run.plan.jobs:
        record = found[job.name]
        if record.state in FAILED and counted_as(record) in run.plan.retry:
            record = by_itself(run, job, record, pasts.get(job.name, Past()))
        elif not touched.isdisjoint(job.waits_for):
            record = with_its_parents(run, job, record, found)
        if record.retries or not touched.isdisjoint(job.waits_for):
            touched.add(job.name)
        found[job.name] = record
    return [found[record.name] for record in records]


def by_itself(run: Run, job: Job, record: Record, past: Past) -> Record:
    """A failed record made ready if it is to be submitted again by itself; else the reason says why
    it is left to a person."""
    kind = counted_as(record)
    # Where Slurm refuses no time limit that its partition never takes, the job would wait for ever.
    if past.largest is None and kind in GROWS:
        return replace(record, reason=f"{record.reason}; again once the scheduler can be asked")
    profile = within(run.profile, job, past)
    why_not = left_to_a_person(job, record, profile, run.plan.retry[kind], past)
    if why_not:
        return replace(record, reason=f"{record.reason}; not retried automatically: {why_not}")
    counts = dict(record.retries)
    counts[kind] = counts.get(kind, 0) + 1
    if past.lost and kind is not Kind.NODE:
        counts[Kind.NODE] = counts.get(Kind.NODE, 0) + past.lost
    elif past.lost:
        counts[kind] += past.lost
    step = past.step if kind is Kind.TIME_LIMIT else record.step
    ready = again(job, record, profile)
    return replace(ready, retries={str(one): n for one, n in counts.items()}, due=True, step=step)


def left_to_a_person(job: Job, record: Record, profile: Profile, most: int, past: Past) -> str:
    """Why a job is not submitted again by itself; empty: it is.

    Args:
        profile: with the largest request that is known (``within``).
        most: how often at most after this kind of failure.
    """
    kind = counted_as(record)
    # What Slurm has started again after a failed node counts like what orch has.
    done = record.retries.get(kind, 0) + (past.lost if kind is Kind.NODE else 0)
    if done >= most:
        return f"{done} of {most} retries after {kind} are used up"
    if kind is Kind.TIME_LIMIT and record.step is not None and (past.step or 0) <= record.step:
        return f"it came no further than the attempt before (step {record.step})"
    key = GROWS.get(kind)
    if key is not None:
        before = int(getattr(asked(job, record).resources, key))
        if grown(job, record, profile, key) <= before:
            return f"{key}={before} is the most that may be asked for"
    return ""


def within(profile: Profile, job: Job, past: Past) -> Profile:
    """The profile as it holds for a job, with what the scheduler takes where that is less."""
    own, largest = profile.with_options(job.options, job.resources.gpus), past.largest or {}
    memory = [one for one in (own.memory_gb_per_node, largest.get("memory_gb")) if one]
    minutes = [one for one in (own.max_minutes, largest.get("minutes")) if one]
    return dataclasses.replace(
        own,
        memory_gb_per_node=min(memory, default=None),
        max_minutes=min(minutes, default=None),
    )


def with_its_parents(run: Run, job: Job, record: Record, found: Mapping[str, Record]) -> Record:
    """A job that the scheduler has cancelled because one that it needed had failed, made ready now
    that this one is submitted again."""
    if record.state is not JobState.CANCELLED or record.waits_on is Wait.PERSON or record.host:
        return record
    parents = [found[name] for name in job.waits_for]
    if any(parent.state in FAILED for parent in parents):
        return record
    # Cancelled later than that it was by somebody, and not by the scheduler.
    resubmitted = [one.submitted or 0.0 for one in parents if not one.due and one.attempt > 1]
    by_scheduler = any(one.due for one in parents) or (
        record.ended is not None
        and any(record.ended <= submitted + GRACE_SECONDS for submitted in resubmitted)
    )
    if not by_scheduler:
        return record
    return replace(again(job, record, run.profile), due=True)


def grown(job: Job, record: Record, profile: Profile, key: str) -> int:
    """What a retry asks for of one resource, within the bounds; never less than before."""
    # A plan of 8 GB grows to 12, 18, 27 and then 32, which is MOST times 8.
    before = int(getattr(asked(job, record).resources, key))
    most = MOST * int(getattr(job.resources, key))
    limit = profile.with_options(job.options, job.resources.gpus).limits()[key]
    if limit is not None:
        most = min(most, limit)
    return max(before, min(math.ceil(GROWTH * before), most))


def may_grow(record: Record) -> bool:
    """Whether the next attempt may ask for more, as far as it is known what the job died of."""
    return not record.cause or kind_of(record) in GROWS


def kind_of(record: Record) -> Kind:
    """The kind of failure in a record; UNKNOWN also for one that only a newer version knows."""
    return KINDS.get(record.cause, Kind.UNKNOWN)


def counted_as(record: Record) -> Kind:
    """The kind of failure as the bounds of retries count it: shared memory is memory."""
    kind = kind_of(record)
    return Kind.HOST_MEMORY if kind is Kind.SHARED_MEMORY else kind


def would_fail_alike(records: Sequence[Record]) -> dict[str, str]:
    """Jobs that have not started and would surely fail as others of their stage have, each with who
    failed of what.

    A stage of which one job has completed can work, so nothing of it is held back. What comes from
    a job's own values holds those jobs alone that share the values that all the failed ones have:
    where two seeds of one learning rate have failed, the other seeds of this rate.
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
        shared: set[str] = set()
        if kind_of(failed[0]) in WITH_THESE_VALUES:
            shared = set.intersection(*(values_of(record) for record in failed))
        for record in stage:
            waits = record.state in (JobState.WAITING, JobState.PENDING)
            if waits and shared <= values_of(record):
                found[record.name] = held_reason
    return found


def values_of(record: Record) -> set[str]:
    """What its name says that varies: of ``train/lr=0.1,seed=2`` ``lr=0.1`` and ``seed=2``."""
    return set(record.name.partition("/")[2].split(","))


def failed_alike(stage: Sequence[Record]) -> list[Record]:
    """The largest group of a stage's jobs that failed of the same, and of something that the
    others would fail of too; none if one of the stage has completed."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in stage:
        if record.state is JobState.COMPLETED:
            return []
        if record.state not in FAILED:
            continue
        kind = kind_of(record)
        if kind in EVERYWHERE or kind in WITH_THESE_VALUES:
            said = record.reason if kind in OF_ONE_FILE else alike(record.reason)
            groups.setdefault((record.cause, said), []).append(record)
    return max(groups.values(), key=len, default=[])
