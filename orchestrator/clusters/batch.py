"""Jobs that are submitted together, what they wait for, and how Slurm writes the ids of arrays.

In: jobs and records. Out: a ``Batch`` and its ``Waits``. Pure. The lifecycle makes them
(``orchestrator/lifecycle/batching.py``); a cluster submits them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from engines.contract.words import ranges
from jobs.spec import Job, Resources
from orchestrator.node.launcher.plain import FORM
from orchestrator.runs.record import JobId, Record


def becoming(command: Sequence[str], launcher: str = "") -> str:
    """Shell lines that become a command: through the launcher if it works on the node, which may
    have another processor, or forbid programs where it lies."""
    words = shlex.join(command)
    if not launcher:
        return f"exec {words}"
    program = shlex.quote(launcher)
    # By what it says: of an empty file a shell makes a script that ends well. exec: a signal to the
    # script's process then reaches the program, not a shell that waits.
    works = f'[ "$({program} --version 2>/dev/null)" = {shlex.quote(FORM)} ]'
    return f"{works} && exec {program} {words}\nexec {words}"


@dataclass(frozen=True)
class Batch:
    """Jobs that one call submits: a single job, a pack, or the elements of an array, each of them a
    job or a pack."""

    jobs: tuple[Job, ...]
    records: tuple[Record, ...]
    """Of the same jobs, with the attempt and the token they are submitted under."""

    @property
    def token(self) -> str:
        """What the scheduler's job name ends in."""
        return self.records[0].parsed_token.head

    @cached_property
    def indexes(self) -> list[int]:
        """Index of each element; empty for a single job or pack."""
        indexes = dict.fromkeys(record.parsed_token.index for record in self.records)
        return [index for index in indexes if index is not None]

    @property
    def packed(self) -> bool:
        """Whether several jobs share one allocation."""
        return self.records[0].packed

    @cached_property
    def units(self) -> list[list[Job]]:
        """The jobs by allocation."""
        found: dict[str, list[Job]] = {}
        for job, record in zip(self.jobs, self.records, strict=True):
            found.setdefault(record.allocation, []).append(job)
        return list(found.values())

    @property
    def resources(self) -> Resources:
        """What one allocation asks for."""
        # All elements of an array ask for the same: what the fullest pack needs.
        first, members = self.jobs[0], max(map(len, self.units))
        return first.resources.shared_by(members, first.running_of(members))

    @property
    def title(self) -> str:
        """``train/arm=pcgrad,seed=0``, ``train[0-5]``, or ``train[0-5] of 24 jobs`` where each
        element is a pack."""
        if not self.indexes and not self.packed:
            return self.jobs[0].name
        elements = f"[{ranges(self.indexes)}]" if self.indexes else ""
        members = f" of {len(self.jobs)} jobs" if self.packed else ""
        return f"{self.jobs[0].stage}{elements}{members}"

    def ids(self, job_id: str) -> list[str]:
        """Id of each member when the scheduler gave ``job_id``; the members of a pack share one."""
        indexes = [record.parsed_token.index for record in self.records]
        return [job_id if index is None else f"{job_id}_{index}" for index in indexes]


@dataclass(frozen=True)
class Waits:
    """What a batch waits for, as job ids."""

    all: tuple[str, ...] = ()
    """Every member waits for the success of all of these."""
    same_index: tuple[str, ...] = ()
    """Arrays: each member waits for the element with its own index."""
    ended: tuple[str, ...] = ()
    """Every member waits for the end of these, and sees on its node whether what it needs is there:
    a pack may end with members that failed, and not every member of a pack needs all that its
    neighbours need."""
    same_pack: str | None = None
    """An array of packs, and nothing else beside it: each member waits for the success of the
    element with its own index, or for the end of the whole array. A pack that was ended from
    outside has members that had finished, and what waits for these goes on."""


SPAN = re.compile(r"(\d+)(?:-(\d+))?(?::(\d+))?")
"""``4``, ``4-9`` or ``4-9:2``."""


def expanded(job_id: str) -> list[str]:
    """Every id that ``123_[4-9:2,12%3]`` stands for; an id without brackets stands for itself.

    ValueError if it was cut off (``...``): what it stood for would look as if it were not there.
    """
    # "123_[4-9:2,12%3]": the elements 4, 6, 8 and 12, of which three may run at a time.
    head, bracket, listed = job_id.partition("[")
    if not bracket:
        return [job_id]
    spans, _, _throttle = listed.removesuffix("]").partition("%")
    found = []
    for span in spans.split(","):
        match = SPAN.fullmatch(span)
        if match is None or not listed.endswith("]"):
            raise ValueError(f"the array {job_id} is not listed whole")
        first, last, step = match.groups()
        indexes = range(int(first), int(last or first) + 1, int(step or 1))
        found += [f"{head}{index}" for index in indexes]
    return found


def compressed(job_ids: Iterable[str]) -> list[str]:
    """Ids with the elements of each array as one ``123_[0-4,7]``."""
    elements: dict[str, list[int]] = {}
    singles = []
    for job_id in dict.fromkeys(job_ids):  # each once, in their order
        parsed = JobId.parse(job_id)
        if parsed.index is None:
            singles.append(job_id)
        else:
            elements.setdefault(parsed.head, []).append(parsed.index)
    return singles + [f"{head}_[{ranges(indexes)}]" for head, indexes in elements.items()]
