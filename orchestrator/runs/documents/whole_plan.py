"""What holds in every plan that orch has written, beyond the types of its values.

In: a plan, as it was read. Out: what is wrong with it, in words. Pure. Called by plan_file.py, so
that whoever has a plan need not ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple
from itertools import chain

from jobs.searches import POINT
from jobs.spec import Job
from orchestrator.planning.plan import Plan

JOBS = "jobs"
"""The folder in a run's folder that those of its jobs lie in."""
LARGEST = 1 << 53
"""Whole numbers from here on are none of ours."""


def wrong_in(plan: Plan) -> str:
    """The first thing that is wrong; empty in a whole plan."""
    return next(chain(names(plan), folders(plan.jobs), numbers(plan)), "")


def names(plan: Plan) -> Iterator[str]:
    """Jobs that others wait for, choose or judge are there, and each once."""
    here = {job.name for job in plan.jobs}
    if len(here) < len(plan.jobs):
        yield "it has a job twice"
    for job in plan.jobs:
        if job.name.partition("/")[0] != job.stage:
            yield f"'{job.name}' is no job of the stage '{job.stage}'"
    named = [name for job in plan.jobs for name in (*job.requires, *job.waits_for)]
    named += [name for one in plan.choices.values() for name in one.jobs]
    named += [name for gate in plan.gates.values() for one in gate for name in one.jobs]
    for name in (*named, *plan.choices):
        if name not in here:
            yield f"it names the job '{name}' and does not have it"


def folders(jobs: Iterable[Job]) -> Iterator[str]:
    """Each job has a folder below ``jobs/``: nothing of a run lies anywhere else."""
    taken = set()
    for job in jobs:
        first, _, name = job.folder.partition("/")
        if first != JOBS or name in ("", ".", "..") or "/" in name or name in taken:
            yield f"'{job.folder}' is no folder of {job.name}"
        taken.add(name)


def numbers(plan: Plan) -> Iterator[str]:
    """What is counted or divided by is a number that can be."""
    asked = set()
    for job in plan.jobs:
        # Thousands of jobs ask for the same.
        if (own := (job.resources, job.pack, job.at_once)) not in asked:
            asked.add(own)
            counted = (*astuple(job.resources), job.pack - 1, (job.at_once or 1) - 1)
            if not all(0 <= one < LARGEST for one in counted):
                yield f"the resources of {job.name} are none"
        search = plan.searches.get(job.stage)
        point = job.axes.get(POINT)
        if search is not None and not (type(point) is int and 0 <= point < LARGEST):
            yield f"{job.name} is no point of its search"
    for stage, gate in plan.gates.items():
        if any((one.at_least is None) is (one.at_most is None) for one in gate):
            yield f"a condition of '{stage}' has no threshold"
    for stage, search in plan.searches.items():
        if search.n < 1 or search.rounds < 1:
            yield f"the search of '{stage}' has no points"
