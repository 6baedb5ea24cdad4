"""Which jobs go to the scheduler together, as one array, and how the scheduler writes arrays down.

Jobs of one stage that ask for the same and wait for alike parents become one array. Each keeps its
own record, attempt folder, claim, log and exit record; its token is ``<token of the
array>_<index>``, so it is looked up like any other. Slurm caps the index, not the number of
elements, so every array counts from 0. Where the stage says ``pack: N``, an element is an
allocation that N jobs share, and a member's token is ``<token of the allocation>+<member>``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from jobs.spec import Job
from orchestrator.clusters.batch import Batch, Waits
from orchestrator.lifecycle.retry_policy import asked
from orchestrator.runs.record import JobId, JobState, Record, Token
from orchestrator.runs.run import Run


def waits_for(batch: Batch, by_name: Mapping[str, Record]) -> Waits:
    """The active parents of a batch. A whole array that every member waits for is named once."""
    needed = {
        job.name: {name: by_name[name] for name in active_parents(job, by_name)}
        for job in batch.jobs
    }
    units = [
        {str(r.job_id): r for job in unit for r in needed[job.name].values()}
        for unit in batch.units
    ]
    shared = {job_id: r for job_id, r in units[0].items() if all(job_id in unit for unit in units)}
    own = sorted({job_id for unit in units for job_id in unit} - shared.keys())
    by_all = set.intersection(
        *({str(r.job_id) for r in parents.values()} for parents in needed.values())
    )
    sure = [job_id for job_id, r in shared.items() if job_id in by_all and not r.packed]
    unsure = [job_id for job_id in shared if job_id not in sure]
    heads = dict.fromkeys(JobId.parse(job_id).head for job_id in own)
    packs_of = {
        JobId.parse(job_id).head for unit in units for job_id, r in unit.items() if r.packed
    }
    packed = [head for head in heads if head in packs_of]
    if packed and not sure and not unsure and len(heads) == 1:
        return Waits(same_pack=packed[0])
    # Slurm does not mix "or" with "and": beside anything else the end of all packs is waited for.
    ended = whole([job_id for job_id in unsure if JobId.parse(job_id).head not in packed], by_name)
    return Waits(
        whole(sure, by_name), tuple(head for head in heads if head not in packed), (*ended, *packed)
    )


def whole(ids: Sequence[str], by_name: Mapping[str, Record]) -> tuple[str, ...]:
    """The ids, with an array of which all elements are named by its own id."""
    listed: dict[str, set[str]] = {}
    for job_id in ids:
        listed.setdefault(JobId.parse(job_id).head, set()).add(job_id)
    known: dict[str, set[str]] = {head: set() for head in listed}
    for record in (
        by_name.values() if any(JobId.parse(job_id).index is not None for job_id in ids) else ()
    ):
        if record.job_id and (head := JobId.parse(record.job_id).head) in known:
            known[head].add(record.job_id)
    heads = ((job_id, JobId.parse(job_id).head) for job_id in ids)
    return tuple(
        dict.fromkeys(
            head if head != job_id and listed[head] == known[head] else job_id
            for job_id, head in heads
        )
    )


def active_parents(job: Job, by_name: Mapping[str, Record]) -> list[str]:
    """Jobs that a job still has to wait for."""
    return [
        name
        for name in job.waits_for
        if by_name[name].state not in (JobState.COMPLETED, JobState.SKIPPED)
    ]


def make_batches(run: Run, records: Sequence[Record], chosen: set[str], size: int) -> list[Batch]:
    """Deal the chosen jobs into batches of at most ``size`` elements, parents before children, each
    record with its attempt and token.

    A record that has a token keeps it, so that a late arrival of an earlier try and its repetition
    share one claim.
    """
    by_name = {record.name: record for record in records}
    planned = [asked(job, by_name[job.name]) for job in run.plan.jobs]
    depth: dict[str, int] = {}
    for job in run.plan.jobs:
        if job.name in chosen:
            depth[job.name] = max(
                (depth[name] + 1 for name in job.waits_for if name in depth), default=0
            )
    levels: dict[int, list[Job]] = {}
    for job in planned:
        if job.name in depth:
            levels.setdefault(depth[job.name], []).append(job)
    batches = []
    for level in sorted(levels):
        alike: dict[object, list[list[Job]]] = {}
        for unit in packs(levels[level], by_name):
            alike.setdefault(likeness(unit, by_name, size), []).append(unit)
        for units in alike.values():
            for part, indexes in deal(units, by_name, size):
                batch = with_tokens(run, part, indexes, by_name)
                by_name.update((record.name, record) for record in batch.records)
                batches.append(batch)
    return batches


def packs(jobs: Sequence[Job], by_name: Mapping[str, Record]) -> list[list[Job]]:
    """The jobs by allocation: those of a stage that ask for the same, ``pack`` at a time; those
    that have a token as they were.

    Jobs that wait for the same are packed first; what is left over of these waits for all that any
    of its pack waits for.
    """
    kept: dict[str, list[Job]] = {}
    alike: dict[object, dict[frozenset[str], list[Job]]] = {}
    for job in jobs:
        record = by_name[job.name]
        if record.token:
            kept.setdefault(record.allocation, []).append(job)
        else:
            alike.setdefault(company(job, record), {}).setdefault(
                parents_of([job], by_name), []
            ).append(job)
    found = list(kept.values())
    for groups in alike.values():
        left: list[Job] = []
        for group in groups.values():
            most = group[0].pack
            full = len(group) // most * most
            found += [group[first : first + most] for first in range(0, full, most)]
            left += group[full:]
        found += (
            [left[first : first + left[0].pack] for first in range(0, len(left), left[0].pack)]
            if left
            else []
        )
    return found


def company(job: Job, record: Record) -> object:
    """Equal for jobs that may share an allocation; ``job``: with what it asks for now."""
    return job.name if job.pack < 2 else (job.stage, job.resources, record.exclude)


def parents_of(unit: Sequence[Job], by_name: Mapping[str, Record]) -> frozenset[str]:
    """The allocations that any of these jobs waits for, by token."""
    return frozenset(
        by_name[name].allocation for job in unit for name in active_parents(job, by_name)
    )


def likeness(unit: Sequence[Job], by_name: Mapping[str, Record], size: int) -> object:
    """Equal for what may share an array: stage, resources, the arrays their parents are in, the
    token they already have."""
    job = unit[0]
    token = by_name[job.name].parsed_token
    if size < 2 or (token.head and token.index is None):
        return job.name
    parents = [Token.parse(parent) for parent in parents_of(unit, by_name)]
    arrays = tuple(sorted(parent.head for parent in parents if parent.index is not None))
    singles = tuple(sorted(parent.head for parent in parents if parent.index is None))
    return (
        job.stage,
        job.resources,
        by_name[job.name].exclude,
        token.head,
        arrays,
        singles,
        0 if token.head else len(unit),
    )


Dealt = tuple[list[list[Job]], list[int] | None]
"""Elements of one array, and their indexes where these are not free."""


def deal(units: list[list[Job]], by_name: Mapping[str, Record], size: int) -> list[Dealt]:
    """Split alike jobs or packs into arrays whose parents Slurm can express.

    Either all elements have the same parents (afterok), or each has the parents of its own index
    (aftercorr); whichever needs fewer.
    """
    lists = [parents_of(unit, by_name) for unit in units]
    shared = frozenset.intersection(*lists)
    apart: dict[frozenset[str], list[list[Job]]] = {}
    rounds: list[dict[int, list[Job]]] = []
    for unit, parents in zip(units, lists, strict=True):
        apart.setdefault(parents, []).append(unit)
        own = {Token.parse(token).index for token in parents - shared}
        index = own.pop() if len(own) == 1 else None
        if index is not None and by_name[unit[0].name].parsed_token.index in (None, index):
            place = next((taken for taken in rounds if index not in taken), None)
            if place is None:
                rounds.append(place := {})
            place[index] = unit
    if len(apart) > 1 and len(rounds) < len(apart) and sum(map(len, rounds)) == len(units):
        return [([taken[index] for index in sorted(taken)], sorted(taken)) for taken in rounds]
    return [
        (group[first : first + size], None)
        for group in apart.values()
        for first in range(0, len(group), size)
    ]


def with_tokens(
    run: Run,
    units: Sequence[Sequence[Job]],
    indexes: Sequence[int] | None,
    by_name: Mapping[str, Record],
) -> Batch:
    """A batch of these jobs with attempts and tokens."""
    jobs = tuple(job for unit in units for job in unit)
    records = [by_name[job.name] for job in jobs]
    if records[0].token:
        return Batch(jobs, tuple(records))
    records = [replace(record, attempt=record.attempt + 1) for record in records]
    if len(jobs) == 1:
        return Batch(jobs, (replace(records[0], token=run.token(jobs[0], records[0].attempt)),))
    members = "".join(f"/{record.name}/{record.attempt}" for record in records)
    head = hashlib.sha256(f"{run.uid}{members}".encode()).hexdigest()[:10]
    tokens = []
    for index, unit in zip(indexes or range(len(units)), units, strict=True):
        element = head if len(units) == 1 else f"{head}_{index}"
        tokens += (
            [f"{element}+{place}" for place in range(len(unit))] if len(unit) > 1 else [element]
        )
    return Batch(
        jobs,
        tuple(replace(record, token=token) for record, token in zip(records, tokens, strict=True)),
    )
