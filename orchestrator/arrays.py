"""Which jobs go to the scheduler together, as one array, and how the scheduler writes arrays down.

Jobs of one stage that ask for the same and wait for alike parents become one array. Each keeps its own record, attempt folder, claim,
log and exit record; its token is ``<token of the array>_<index>``, so it is looked up like any other. Slurm caps the index, not the
number of elements, so every array counts from 0.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobs.spec import Job
from orchestrator.policy import asked
from orchestrator.run import Run
from orchestrator.state import JobState, Record, split_token


@dataclass(frozen=True)
class Batch:
    """Jobs that one call submits: a single job, or the elements of an array."""

    jobs: tuple[Job, ...]
    records: tuple[Record, ...]
    """Of the same jobs, with the attempt and the token they are submitted under."""

    @property
    def token(self) -> str:
        """What the scheduler's job name ends in."""
        return split_token(self.records[0].token)[0]

    @property
    def indexes(self) -> list[int]:
        """Index of each element; empty for a single job."""
        return [index for record in self.records if (index := split_token(record.token)[1]) is not None]

    @property
    def title(self) -> str:
        """``train/arm=pcgrad,seed=0``, or ``train[0-5]``."""
        return f"{self.jobs[0].stage}[{ranges(self.indexes)}]" if self.indexes else self.jobs[0].name

    def ids(self, job_id: str) -> list[str]:
        """Id of each member when the scheduler gave ``job_id``."""
        return [f"{job_id}_{index}" for index in self.indexes] or [job_id]


@dataclass(frozen=True)
class Waits:
    """What a batch waits for, as job ids."""

    all: tuple[str, ...] = ()
    """Every member waits for all of these."""
    same_index: tuple[str, ...] = ()
    """Arrays: each member waits for the element with its own index."""


def ranges(numbers: Iterable[int]) -> str:
    """``0-3,7`` for 0, 1, 2, 3 and 7."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in spans)


def expanded(job_id: str) -> list[str]:
    """Every id that ``123_[4-9:2,12%3]`` stands for; an id without brackets stands for itself.

    ValueError if it was cut off (``...``): what it stood for would look as if it were not there.
    """
    head, bracket, inside = job_id.partition("[")
    if not bracket:
        return [job_id]
    listed, _, _throttle = inside.removesuffix("]").partition("%")
    found = []
    for part in listed.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?(?::(\d+))?", part)
        if match is None or not inside.endswith("]"):
            raise ValueError(f"the array {job_id} is not listed whole")
        first = int(match[1])
        found += [f"{head}{number}" for number in range(first, int(match[2] or first) + 1, int(match[3] or 1))]
    return found


def compressed(job_ids: Iterable[str]) -> list[str]:
    """Ids with the elements of each array as one ``123_[0-4,7]``."""
    elements: dict[str, list[int]] = {}
    singles = []
    for job_id in job_ids:
        head, index = split_token(job_id)
        if index is None:
            singles.append(job_id)
        else:
            elements.setdefault(head, []).append(index)
    return singles + [f"{head}_[{ranges(indexes)}]" for head, indexes in elements.items()]


def waits_for(batch: Batch, by_name: Mapping[str, Record]) -> Waits:
    """The active parents of a batch. A whole array that every member waits for is named once."""
    lists = [set(active_parents(job, by_name)) for job in batch.jobs]
    shared = set.intersection(*lists)
    own = sorted({str(by_name[name].job_id) for name in set.union(*lists) - shared})
    ids = [str(by_name[name].job_id) for name in active_parents(batch.jobs[0], by_name) if name in shared]
    heads = [split_token(job_id)[0] for job_id in ids]
    size = {head: sum(split_token(record.job_id or "")[0] == head for record in by_name.values()) for head in set(heads)}
    named = [head if "_" in job_id and heads.count(head) == size[head] else job_id for head, job_id in zip(heads, ids, strict=True)]
    return Waits(tuple(dict.fromkeys(named)), tuple(dict.fromkeys(split_token(job_id)[0] for job_id in own)))


def active_parents(job: Job, by_name: Mapping[str, Record]) -> list[str]:
    """Parents that a job still has to wait for."""
    return [name for name in job.after if by_name[name].state not in (JobState.COMPLETED, JobState.SKIPPED)]


def make_batches(run: Run, records: Sequence[Record], chosen: set[str], size: int) -> list[Batch]:
    """Deal the chosen jobs into batches of at most ``size``, parents before children, each record with its attempt and token.

    A record that has a token keeps it, so that a late arrival of an earlier try and its repetition share one claim.
    """
    by_name = {record.name: record for record in records}
    planned = [asked(job, by_name[job.name]) for job in run.plan.jobs]
    depth: dict[str, int] = {}
    for job in run.plan.jobs:
        if job.name in chosen:
            depth[job.name] = max((depth[name] + 1 for name in job.after if name in depth), default=0)
    batches = []
    for level in range(max(depth.values(), default=-1) + 1):
        alike: dict[object, list[Job]] = {}
        for job in planned:
            if depth.get(job.name) == level:
                alike.setdefault(likeness(job, by_name, size), []).append(job)
        for jobs in alike.values():
            for part, indexes in deal(jobs, by_name, size):
                batch = with_tokens(run, part, indexes, by_name)
                by_name.update((record.name, record) for record in batch.records)
                batches.append(batch)
    return batches


def likeness(job: Job, by_name: Mapping[str, Record], size: int) -> object:
    """Equal for jobs that may share an array: stage, resources, the arrays their parents are in, the token they already have."""
    token, index = split_token(by_name[job.name].token)
    if size < 2 or (token and index is None):
        return job.name
    parents = [split_token(by_name[name].token) for name in active_parents(job, by_name)]
    arrays = tuple(sorted(head for head, index in parents if index is not None))
    singles = tuple(sorted(head for head, index in parents if index is None))
    return job.stage, job.resources, by_name[job.name].exclude, token, arrays, singles


def deal(jobs: list[Job], by_name: Mapping[str, Record], size: int) -> list[tuple[list[Job], list[int] | None]]:
    """Split alike jobs into arrays whose parents Slurm can express; the second part is the indexes, where they are not free.

    Either all members have the same parents (afterok), or each has the parents of its own index (aftercorr); whichever needs fewer.
    """
    lists = {job.name: frozenset(active_parents(job, by_name)) for job in jobs}
    shared = frozenset.intersection(*lists.values())
    apart: dict[frozenset[str], list[Job]] = {}
    rounds: list[dict[int, Job]] = []
    for job in jobs:
        apart.setdefault(lists[job.name], []).append(job)
        own = {split_token(by_name[name].token)[1] for name in lists[job.name] - shared}
        index = own.pop() if len(own) == 1 else None
        if index is not None and split_token(by_name[job.name].token)[1] in (None, index):
            place = next((taken for taken in rounds if index not in taken), None)
            if place is None:
                rounds.append(place := {})
            place[index] = job
    if len(apart) > 1 and len(rounds) < len(apart) and sum(map(len, rounds)) == len(jobs):
        return [([taken[index] for index in sorted(taken)], sorted(taken)) for taken in rounds]
    return [(group[first:first + size], None) for group in apart.values() for first in range(0, len(group), size)]


def with_tokens(run: Run, jobs: Sequence[Job], indexes: Sequence[int] | None, by_name: Mapping[str, Record]) -> Batch:
    """A batch of these jobs with attempts and tokens."""
    records = [by_name[job.name] for job in jobs]
    records = [r if r.token else dataclasses.replace(r, attempt=r.attempt + 1) for r in records]
    if records[0].token:
        return Batch(tuple(jobs), tuple(records))
    if len(jobs) == 1:
        return Batch(tuple(jobs), (dataclasses.replace(records[0], token=run.token(jobs[0], records[0].attempt)),))
    members = "".join(f"/{record.name}/{record.attempt}" for record in records)
    token = hashlib.sha256(f"{run.uid}{members}".encode()).hexdigest()[:10]
    return Batch(tuple(jobs), tuple(dataclasses.replace(record, token=f"{token}_{index}")
                                    for index, record in zip(indexes or range(len(jobs)), records, strict=True)))
