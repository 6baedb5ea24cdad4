"""The GPU-hours that a run may take: what was spent, what active jobs may still take, and which
jobs would go beyond.

In: the run, its records, the claims and exit records in the jobs' folders (``read_spent``, once for
a job that is over). Out: which of the chosen jobs fit (``within``, pure), and why the others wait.
Called by observe.py and decide.py. The hours are those of `orch costs`: the time of a start by its
GPUs, which the members of a pack share.

So that a budget is never passed, a job counts as its whole time limit from its submission until it
has ended, and as what it really took from then on. What it did not take is free for the next job.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from msgspec.structs import replace

from jobs.spec import Job
from orchestrator.description.profile import Profile
from orchestrator.lifecycle.retry_policy import asked
from orchestrator.node.cost import attempt_records, seconds_of, units_held
from orchestrator.planning.plan import Plan
from orchestrator.runs.documents.damage import note
from orchestrator.runs.layout import attempt_folder
from orchestrator.runs.record import ACTIVE, FAILED, JobState, Record, Wait
from orchestrator.runs.run import Run

SLACK = 1e-9
"""Sums of hours may miss a bound by rounding."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """GPU-hours of the starts of one job."""

    ended: float
    """Of those that are over."""
    unclosed: float
    """Of the newest one at most, if it has left no exit record: it runs, or its node was lost."""


def of(run: Run) -> float | None:
    """How many GPU-hours the run may take: its experiment's word, else its profile's; None: there
    is no bound."""
    return most_of(run.plan, run.profile)


def most_of(plan: Plan, profile: Profile) -> float | None:
    """The same of a plan before it is a run."""
    return plan.budget.get("gpu_hours", profile.budget.get("gpu_hours"))


def read_spent(
    run: Run, records: Sequence[Record], to_read: Sequence[Record], now: float
) -> dict[str, Spent]:
    """What jobs with GPUs have spent, of those that may have changed or were never counted; nothing
    where there is no budget."""
    if of(run) is None:
        return {}
    changed = {record.name for record in to_read}
    return {
        record.name: spent_by(run, record, now)
        for record in records
        if record.attempt
        and run.by_name[record.name].resources.gpus
        and (record.name in changed or record.gpu_hours is None)
    }


def spent_by(run: Run, record: Record, now: float) -> Spent:
    """What one job has spent, over all its attempts."""
    ended = unclosed = 0.0
    for attempt in range(1, record.attempt + 1):
        folder = attempt_folder(run.folder, record.folder, attempt)
        damaged: list[str] = []
        exits, claim = attempt_records(folder, damaged.append)
        held = asked(run.by_name[record.name], record).resources.to_dict()
        for one in exits.values():
            gpus = units_held(one.get("resources") or held, "gpus", one.get("neighbours", 0))
            ended += gpus * seconds_of(one) / 3600
        # Noted in any case; with a claim the start counts below as one without an exit record.
        at_most_damaged = hours_of_damaged(damaged, held)
        if claim is None:
            ended += at_most_damaged
            continue
        gpus = units_held(held, "gpus", claim.get("neighbours", 0))
        limit = gpus * held["minutes"] / 60
        newest, is_present = int(claim["restart"]), attempt == record.attempt
        # Starts that left no record took their time limit at most, and none after the next one.
        lost = sum(number not in exits for number in range(newest))
        before = float(claim["started"]) - (record.submitted or 0.0) if is_present else math.inf
        ended += min(lost * limit, gpus * max(0.0, before) / 3600)
        if newest in exits:
            continue
        until = record.ended if record.state in FAILED and record.ended and is_present else now
        hours = min(limit, gpus * max(0.0, until - float(claim["started"])) / 3600)
        if is_present:
            unclosed = hours
        else:
            ended += hours
    return Spent(ended=ended, unclosed=unclosed)


def hours_of_damaged(records: Sequence[str], held: Mapping[str, int]) -> float:
    """GPU-hours that a start with damaged records took at most, each of which is noted."""
    for path in records:
        note(path, "is damaged", "left out; its start counts as its time limit in the budget")
    return units_held(held, "gpus", 0) * held["minutes"] / 60 if records else 0.0


def with_spent(records: Sequence[Record], spent: Mapping[str, Spent]) -> list[Record]:
    """The records with what was read of them."""
    if not spent:
        return list(records)
    found = []
    for record in records:
        own = spent.get(record.name)
        hours = record.gpu_hours
        if own is not None:
            # Of one that is active its whole time limit counts (``taken``).
            hours = own.ended if record.state in ACTIVE else own.ended + own.unclosed
        found.append(record if hours == record.gpu_hours else replace(record, gpu_hours=hours))
    return found


def at_most(job: Job, record: Record, sizes: Mapping[str, int]) -> float:
    """GPU-hours that the next or present start of a job takes at most.

    Args:
        sizes: jobs by stage.
    """
    running = job.running_of(min(job.pack, sizes[job.stage]))
    return asked(job, record).resources.gpu_hours / running


@dataclass(frozen=True, kw_only=True)
class Taken:
    """How a budget stands."""

    spent: float
    active: float
    """What jobs that were submitted may still take."""
    most: float

    @property
    def left(self) -> float:
        """What may still be submitted."""
        return self.most - self.spent - self.active

    def __str__(self) -> str:
        active = f", up to {self.active:.3g} more by active jobs" if self.active else ""
        return f"{self.spent:.3g} of {self.most:.6g} GPU-hours are spent{active}"


def taken(run: Run, records: Sequence[Record]) -> Taken | None:
    """How the budget stands; None: there is none."""
    most = of(run)
    if most is None:
        return None
    sizes = Counter(job.stage for job in run.plan.jobs)
    active = 0.0
    for record in records:
        # One that was perhaps submitted counts too.
        if record.state in ACTIVE or (record.state is JobState.UNKNOWN and record.token):
            active += at_most(run.by_name[record.name], record, sizes)
    spent = sum(record.gpu_hours or 0.0 for record in records)
    return Taken(spent=spent, active=active, most=most)


def within(
    run: Run, records: Sequence[Record], chosen: Set[str]
) -> tuple[set[str], dict[str, str]]:
    """Those of the chosen jobs that the budget has room for; and of the others that could run but
    for it, why they wait."""
    stands = taken(run, records)
    if stands is None:
        return set(chosen), {}
    by_name = {record.name: record for record in records}
    sizes = Counter(job.stage for job in run.plan.jobs)
    fitting, reasons, left_out = set[str](), dict[str, str](), set[str]()
    left, is_full = stands.left, False
    for job in run.plan.jobs:
        if job.name not in chosen:
            continue
        if not left_out.isdisjoint(job.waits_for):
            left_out.add(job.name)
            continue
        need = at_most(job, by_name[job.name], sizes)
        # Nothing later in the plan overtakes a job that fits once others have ended.
        if need and (is_full or need > left + SLACK):
            is_full = is_full or need <= stands.most - stands.spent + SLACK
            left_out.add(job.name)
            reasons[job.name] = reason(stands, need)
            continue
        left -= need
        fitting.add(job.name)
    return fitting, reasons


def reason(stands: Taken, need: float) -> str:
    """Why a job waits for the budget, in a line."""
    head = f"budget: {stands}, and it may take {need:.3g}"
    if need > stands.most - stands.spent + SLACK:
        return f"{head}: raise it (budget: {{gpu_hours: ...}}) and launch again"
    return f"{head}: it is submitted once other jobs have used less than their maximum"


def said_at_launch(plan: Plan, profile: Profile) -> str:
    """What a plan may cost at most, in a line; empty if it asks for no GPU."""
    if not plan.gpu_hours:
        return ""
    text = f"may cost up to {plan.gpu_hours:.6g} GPU-hours (time limits x GPUs)"
    money = profile.money(plan.gpu_hours)
    text += f", {money}" if money else ""
    most = most_of(plan, profile)
    if most is None:
        return text
    text += f"; its budget is {most:.6g}"
    largest = max(job.resources.gpu_hours / job.running_of(job.pack) for job in plan.jobs)
    if largest > most:
        return f"{text}, and one of its jobs alone may take {largest:.6g}: it will not be submitted"
    if plan.gpu_hours > most:
        return f"{text}: what does not fit waits until other jobs have used less than their maximum"
    return text


def waiting(records: Sequence[Record]) -> set[str]:
    """Names of the jobs that wait for the budget."""
    return {record.name for record in records if record.waits_on is Wait.BUDGET}


def cannot_go_on(records: Sequence[Record]) -> bool:
    """Whether nothing is active any more that would leave something of the budget."""
    return not any(record.state in ACTIVE for record in records)
