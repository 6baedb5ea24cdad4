"""Which jobs go to the scheduler together, as one array, and what they wait for there. Pure.

Jobs of one stage that ask for the same and wait for alike parents become one array. Each keeps its
own record, attempt folder, claim, log and exit record; its token is ``<token of the
array>_<index>``, so it is looked up like any other. Slurm caps the index, not the number of
elements, so every array counts from 0. Where the stage says ``pack: N``, an element is an
allocation that N jobs share, and a member's token is ``<token of the allocation>+<member>``.

``make_batches`` turns the chosen jobs into batches, ``waits_for`` says what a batch waits for; the
submission (orchestrator/lifecycle/act.py) and `orch launch --dry-run` call them. A *unit* here is
what one allocation holds: a job, or the jobs of a pack.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from jobs.spec import Job
from orchestrator.clusters.batch import Batch, Waits
from orchestrator.lifecycle.retry_policy import asked
from orchestrator.runs.record import JobId, JobState, Record, Token
from orchestrator.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class Parents:
    """The active parents of a batch, by job id."""

    shared: Mapping[str, Record]
    """Those that every unit waits for."""
    own: Sequence[str]
    """Those that some units wait for and others do not: each for the element with its index."""
    by_every_job: frozenset[str]
    """Those that every single job waits for, also within packs."""
    packs: frozenset[str]
    """The arrays, or allocations, among them that hold packs."""

    @property
    def own_arrays(self) -> list[str]:
        """The arrays that ``own`` are elements of."""
        return list(dict.fromkeys(JobId.parse(job_id).head for job_id in self.own))


def waits_for(batch: Batch, by_name: Mapping[str, Record]) -> Waits:
    """What a batch waits for, in the four words of Slurm's dependency language that fit a graph of
    jobs. A whole array that every member waits for is named once."""
    parents = parents_of_batch(batch, by_name)
    alone = same_pack(parents)
    if alone is not None:
        return Waits(same_pack=alone)
    # Slurm does not mix "or" with "and": beside anything else the end of all packs is waited for.
    packs = [head for head in parents.own_arrays if head in parents.packs]
    return Waits(
        all=whole(success_of(parents), by_name),
        same_index=same_index(parents),
        ended=(*whole(end_of(parents), by_name), *packs),
    )


def parents_of_batch(batch: Batch, by_name: Mapping[str, Record]) -> Parents:
    """The active parents of a batch, sorted by who waits for them."""
    # {"evaluate/seed=2": {"17_2": the record of train/seed=2}}
    by_job = {
        job.name: {
            str(by_name[name].job_id): by_name[name] for name in active_parents(job, by_name)
        }
        for job in batch.jobs
    }
    # The members of a pack start together, so a unit waits for the parents of all of them.
    by_unit = []
    for unit in batch.units:
        of_unit: dict[str, Record] = {}
        for job in unit:
            of_unit |= by_job[job.name]
        by_unit.append(of_unit)
    every = {job_id: record for of_unit in by_unit for job_id, record in of_unit.items()}
    shared = {
        job_id: record
        for job_id, record in by_unit[0].items()
        if all(job_id in of_unit for of_unit in by_unit)
    }
    packed = [job_id for job_id, record in every.items() if record.packed]
    return Parents(
        shared=shared,
        own=sorted(every.keys() - shared.keys()),
        by_every_job=frozenset.intersection(*map(frozenset, by_job.values())),
        packs=frozenset(JobId.parse(job_id).head for job_id in packed),
    )


def success_of(parents: Parents) -> list[str]:
    """``afterok``: parents that every job waits for. ``report`` after three trainings that were
    submitted as 17, 18 and 19: ``afterok:17:18:19``."""
    return [
        job_id
        for job_id, record in parents.shared.items()
        if job_id in parents.by_every_job and not record.packed
    ]


def end_of(parents: Parents) -> list[str]:
    """``afterany``: parents whose success is not to be asked for. A pack ends with an error if one
    of its members fails, though the member that is waited for has not: after a pack 17,
    ``afterany:17``, and the node looks whether what the job needs is there."""
    succeeded = success_of(parents)
    arrays = parents.own_arrays
    return [
        job_id
        for job_id in parents.shared
        if job_id not in succeeded
        # Where the whole array of packs is waited for, its elements need not be named.
        and not (JobId.parse(job_id).head in parents.packs and JobId.parse(job_id).head in arrays)
    ]


def same_index(parents: Parents) -> tuple[str, ...]:
    """``aftercorr``: arrays of which each element waits for the one with its own index.
    ``evaluate/seed=2`` after ``train/seed=2``, where the trainings are the array 17:
    ``aftercorr:17``."""
    return tuple(head for head in parents.own_arrays if head not in parents.packs)


def same_pack(parents: Parents) -> str | None:
    """``aftercorr?afterany``: an array of packs, if it is all that is waited for. Element 3 after
    the pack 17_3: ``aftercorr:17?afterany:17``, at once if it succeeds, and else when the array has
    ended, because some members of that pack may have finished."""
    arrays = parents.own_arrays
    if parents.shared or len(arrays) != 1 or arrays[0] not in parents.packs:
        return None
    return arrays[0]


def whole(ids: Sequence[str], by_name: Mapping[str, Record]) -> tuple[str, ...]:
    """The ids, with an array of which all elements are named by its own id."""
    listed = by_array(ids)
    if not listed:
        return tuple(dict.fromkeys(ids))
    known = by_array(record.job_id for record in by_name.values() if record.job_id)
    left = arrays_left(by_name.values())
    # ["17_0", "17_1", "17_2"] becomes ["17"] if these are all elements that the array 17 ever had.
    short = []
    for job_id in ids:
        head = JobId.parse(job_id).head
        is_whole = head in listed and listed[head] == known[head] and head not in left
        short.append(head if is_whole else job_id)
    return tuple(dict.fromkeys(short))


def arrays_left(records: Iterable[Record]) -> set[str]:
    """Arrays that may have had an element more than the records say: one that failed, and was
    submitted again by itself. To wait for the success of the whole array would be in vain."""
    heads: dict[str, set[str]] = {}
    again: dict[str, set[str]] = {}
    for record in records:
        head = JobId.parse(record.job_id).head if record.job_id else ""
        heads.setdefault(record.stage, set()).add(head)
        # With an attempt and no token it is about to be submitted once more.
        if record.attempt > 1 or (record.attempt and not record.token):
            again.setdefault(record.stage, set()).add(head)
    # A job that is alone in its array's stage, or whose whole array was submitted again, left none.
    return {head for stage, moved in again.items() for head in heads[stage] if moved - {head}}


def by_array(ids: Iterable[str]) -> dict[str, set[str]]:
    """Those of the ids that are elements of arrays, by array."""
    found: dict[str, set[str]] = {}
    for job_id in ids:
        parsed = JobId.parse(job_id)
        if parsed.index is not None:
            found.setdefault(parsed.head, set()).add(job_id)
    return found


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
    batches = []
    for level in levels(run, chosen):
        # With what retries have raised: jobs that ask for different memory share no array.
        jobs = [asked(job, by_name[job.name]) for job in level]
        alike: dict[object, list[list[Job]]] = {}
        for unit in packs(jobs, by_name):
            alike.setdefault(likeness(unit, by_name, size), []).append(unit)
        for units in alike.values():
            for part, indexes in deal(units, by_name, size):
                batch = with_tokens(run, part, indexes, by_name)
                # The next level finds its parents by the tokens that they have from now on.
                by_name.update((record.name, record) for record in batch.records)
                batches.append(batch)
    return batches


def levels(run: Run, chosen: set[str]) -> list[list[Job]]:
    """The chosen jobs by how many of them come before each, one after the other. Only jobs of one
    level are submitted together: the next one names their ids."""
    depth: dict[str, int] = {}
    found: list[list[Job]] = []
    for job in run.plan.jobs:
        if job.name not in chosen:
            continue
        parents = [depth[name] for name in job.waits_for if name in depth]
        level = max(parents) + 1 if parents else 0
        depth[job.name] = level
        # Parents come first in the plan, so a level is at most one deeper than those before.
        if level == len(found):
            found.append([])
        found[level].append(job)
    return found


def packs(jobs: Sequence[Job], by_name: Mapping[str, Record]) -> list[list[Job]]:
    """The jobs by allocation: those of a stage that ask for the same, ``pack`` at a time; those
    that have a token as they were.

    Jobs that wait for the same are packed first; what is left over of these waits for all that any
    of its pack waits for.
    """
    as_before: dict[str, list[Job]] = {}
    alike: dict[object, dict[frozenset[str], list[Job]]] = {}
    for job in jobs:
        record = by_name[job.name]
        # It may be in the queue already. Submitted again it has the same members under the same
        # tokens, so each attempt is still claimed once.
        if record.token:
            as_before.setdefault(record.allocation, []).append(job)
        else:
            by_parents = alike.setdefault(company(job, record), {})
            by_parents.setdefault(parents_of([job], by_name), []).append(job)
    units = list(as_before.values())
    for by_parents in alike.values():
        rest: list[Job] = []
        for group in by_parents.values():
            # Of 7 jobs with the same parents in packs of 3, two packs are full and one job is left
            # over.
            full = len(group) - len(group) % group[0].pack
            units += cut(group[:full], group[0].pack)
            rest += group[full:]
        if rest:
            units += cut(rest, rest[0].pack)
    return units


def cut(jobs: list[Job], size: int) -> list[list[Job]]:
    """The jobs in runs of at most ``size``."""
    return [jobs[first : first + size] for first in range(0, len(jobs), size)]


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
    # No arrays here, or submitted before as a job or a pack by itself.
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
        # A pack that is not full asks for less, so it shares no array with full ones; an element
        # with a token stays in the array that it was in.
        0 if token.head else len(unit),
    )


Dealt = tuple[list[list[Job]], list[int] | None]
"""Elements of one array, and their indexes where these are not free."""


def deal(units: list[list[Job]], by_name: Mapping[str, Record], size: int) -> list[Dealt]:
    """Split alike units into arrays whose parents Slurm can express.

    Either all elements have the same parents (afterok), or each has the parents of its own index
    (aftercorr); whichever needs fewer arrays.
    """
    parents = [parents_of(unit, by_name) for unit in units]
    alike: dict[frozenset[str], list[list[Job]]] = {}
    for unit, of_unit in zip(units, parents, strict=True):
        alike.setdefault(of_unit, []).append(unit)
    # Twenty children of each of 3 parents: an array for each parent. Two children of each of 50
    # parents: two rounds, each an array with the indexes of the parents.
    rounds = rounds_by_index(units, parents, by_name)
    if len(alike) > 1 and rounds is not None and len(rounds) < len(alike):
        # Not cut to size: the indexes are those of an array that kept to the limit itself.
        return [([by_index[i] for i in sorted(by_index)], sorted(by_index)) for by_index in rounds]
    return [
        (group[first : first + size], None)
        for group in alike.values()
        for first in range(0, len(group), size)
    ]


def rounds_by_index(
    units: Sequence[list[Job]],
    parents: Sequence[frozenset[str]],
    by_name: Mapping[str, Record],
) -> list[dict[int, list[Job]]] | None:
    """The units by the index of the one parent that is theirs alone, each index once a round; None
    if one of them has none or several, or has another index already."""
    shared = frozenset.intersection(*parents)
    rounds: list[dict[int, list[Job]]] = []
    for unit, of_unit in zip(units, parents, strict=True):
        indexes = {Token.parse(token).index for token in of_unit - shared}
        if len(indexes) != 1:
            return None
        index = indexes.pop()
        if index is None or by_name[unit[0].name].parsed_token.index not in (None, index):
            return None
        free = next((by_index for by_index in rounds if index not in by_index), None)
        if free is None:
            free = {}
            rounds.append(free)
        free[index] = unit
    return rounds


def with_tokens(
    run: Run,
    units: Sequence[Sequence[Job]],
    indexes: Sequence[int] | None,
    by_name: Mapping[str, Record],
) -> Batch:
    """A batch of these jobs with attempts and tokens."""
    jobs = tuple(job for unit in units for job in unit)
    records = [by_name[job.name] for job in jobs]
    # A repetition of an earlier try, under the same attempts and tokens.
    if records[0].token:
        return Batch(jobs, tuple(records))
    records = [replace(record, attempt=record.attempt + 1) for record in records]
    # The token of a job by itself can be made again from its folder (Run.token_on_disk).
    if len(jobs) == 1:
        return Batch(jobs, (replace(records[0], token=run.token(jobs[0], records[0].attempt)),))
    # No random part: a launch that was killed and is repeated arrives at the same token.
    members = "".join(f"/{record.name}/{record.attempt}" for record in records)
    head = hashlib.sha256(f"{run.uid}{members}".encode()).hexdigest()[:10]
    # "a1b2c3d4e5_3" is element 3 of an array, "a1b2c3d4e5_3+0" the first member of the pack that is
    # element 3, "a1b2c3d4e5+0" that of a pack without an array.
    tokens: list[Token] = []
    for index, unit in zip(indexes or range(len(units)), units, strict=True):
        element = Token(head, index if len(units) > 1 else None)
        if len(unit) > 1:
            tokens += [Token(head, element.index, member) for member in range(len(unit))]
        else:
            tokens.append(element)
    named = zip(records, tokens, strict=True)
    return Batch(jobs, tuple(replace(record, token=str(token)) for record, token in named))
