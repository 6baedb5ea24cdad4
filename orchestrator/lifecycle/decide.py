"""Decide what a pass over a run does. Pure: the records as observed and the observation go in; new
records and what is to be submitted come out (``decide``), then what is to be held or released
(``holds``) and after which jobs another pass has to come (``passes_after``).

Called by orchestrator/lifecycle/refresh.py; orchestrator/lifecycle/act.py carries it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from msgspec.structs import replace

from jobs.choices import Outcome
from jobs.searches import Round
from jobs.spec import Job
from orchestrator.lifecycle import gates, queue_limits
from orchestrator.lifecycle.bounds import budget
from orchestrator.lifecycle.decided import behind, rounds
from orchestrator.lifecycle.observe import Observation
from orchestrator.lifecycle.retry_policy import by_themselves, would_fail_alike
from orchestrator.runs.record import (
    ACTIVE,
    FAILED,
    GATED,
    LIMITED,
    JobState,
    Record,
    Wait,
)
from orchestrator.runs.run import Run

OVER = frozenset({JobState.COMPLETED, JobState.SKIPPED})
"""States of a parent that a child need not wait for."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a command wants of a pass."""

    everything: bool = False
    """Submit all that can be submitted: a launch or a retry. Else only what was wanted before and
    had to wait, for a gate, for room, or because the process that submitted it was killed."""
    also: Set[str] = frozenset()
    """Further jobs that may be submitted."""
    forced: Set[str] = frozenset()
    """Submit these even if siblings failed of the same cause."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a pass does next."""

    records: list[Record]
    """As they are now, before anything is submitted."""
    submit: frozenset[str] = frozenset()
    """Jobs to submit now."""
    gates: Mapping[str, gates.Decision] = field(default_factory=dict)
    """What gates say, by stage; to be kept on disk."""
    choices: Mapping[str, Outcome] = field(default_factory=dict)
    """Which jobs are the best ones that others follow, by job; to be kept on disk."""
    rounds: Mapping[str, Round] = field(default_factory=dict)
    """Points that a search has drawn, by stage; to be kept on disk before anything is submitted."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """By job, why nothing is taken for it of another run that seems to have done it."""


def decide(run: Run, records: Sequence[Record], seen: Observation, request: Request) -> Decision:
    """What there is to do.

    Args:
        records: as observed (``observe.as_observed``).
    """
    records, due = with_retries(run, budget.with_spent(records, seen.spent), seen)
    # Gates first: what they let through now may be chosen in this same pass.
    judged, decisions = gates.judge(run.plan, records, seen.gates, seen.now)
    searched = rounds.judge(
        run.plan, records, judged, seen.rounds, seen.gates.overrides, seen.fresh
    )
    judged, due = searched.records, due | searched.due
    current = put_behind_canaries(run, judged)
    eligible = None if request.everything else may_go_on(run, current) | request.also
    if eligible is not None:
        eligible |= {record.name for record in current if record.due}
    # What a person has just retried is submitted although its siblings failed of the same.
    held_back = set(would_fail_alike(current)) - request.forced
    confirmed = confirmed_jobs(current, seen)
    chosen = choose(run, current, confirmed, eligible, held_back, seen.room)
    # A shared answer may count jobs that have ended since: it puts nothing into the backlog.
    if seen.fresh and seen.room is not None:
        # Chosen again without the limit: the difference is what only lacks room.
        without_limit = choose(run, current, confirmed, eligible, held_back)
        crowded_out = without_limit - chosen
        current = [
            waits_for_room(record, seen) if record.name in crowded_out else record
            for record in current
        ]
    chosen, too_much = budget.within(run, current, chosen)
    if seen.fresh:
        current = [waits_for_budget(record, too_much.get(record.name)) for record in current]
    return Decision(
        records=described(run, current),
        submit=frozenset(chosen | due),
        gates=decisions,
        choices=gates.outcomes(run.plan, judged, seen.gates),
        rounds=searched.drawn,
    )


def with_retries(
    run: Run, records: Sequence[Record], seen: Observation
) -> tuple[Sequence[Record], set[str]]:
    """The records with those made ready that are submitted again by themselves. By a shared answer,
    which may be old, none is: what would be comes as names, and a pass that asks anew decides."""
    after = by_themselves(run, records, seen.pasts)
    if seen.fresh:
        return after, set()
    both = list(zip(records, after, strict=True))
    found = {new.name for old, new in both if new.due and not old.due}
    return [old if new.name in found else new for old, new in both], found


def may_go_on(run: Run, records: Sequence[Record]) -> set[str]:
    """Jobs that were wanted before, and that whoever polls the run may submit."""
    wanted = queue_limits.backlog(records) | budget.waiting(records)
    return behind.jobs_behind(run.plan) | wanted


def confirmed_jobs(records: Sequence[Record], seen: Observation) -> set[str]:
    """Names of the active jobs that the queue showed in this observation, or that were submitted
    since. A child may name these as a dependency; an older word on a parent is not enough, because
    Slurm takes afterok on a failed job that it has forgotten, and runs the child."""
    queue = seen.queue or {}
    return {
        record.name
        for record in records
        if record.state in ACTIVE
        and record.job_id is not None
        # The second case is a decision made again after a refusal for want of room: the batches
        # before the refused one were submitted after the queue was asked.
        and (record.allocation in queue or (record.submitted or 0.0) >= seen.now)
    }


def choose(
    run: Run,
    records: Sequence[Record],
    confirmed: Set[str] = frozenset(),
    eligible: Set[str] | None = None,
    held_back: Set[str] = frozenset(),
    room: int | None = None,
) -> set[str]:
    """Names of jobs to submit now, parents first, not more than fit into ``room`` allocations.

    They are not done, not active, not held by a gate, and each parent is done, skipped, chosen too,
    or ``confirmed`` to be active.

    Args:
        eligible: only these; None: all.
        held_back: none of these.
    """
    chosen: set[str] = set()
    by_name = {record.name: record for record in records}
    going = {r.name for r in records if r.state in OVER} | confirmed
    taken = queue_limits.Allocations(by_name)
    # The plan lists parents before children, so each job finds its parents decided.
    for job in run.plan.jobs:
        if job.name in held_back or (eligible is not None and job.name not in eligible):
            continue
        record = by_name[job.name]
        if record.state is not JobState.WAITING or record.waits_on in GATED:
            continue
        if not all(name in chosen or name in going for name in job.waits_for):
            continue
        if room is not None:
            # A further member of a pack that is counted already takes no room. Where there is none
            # the walk ends: nothing later in the plan overtakes.
            if taken.count >= room and taken.opens(job):
                break
            taken.add(job)
        chosen.add(job.name)
    return chosen


def waits_for_room(record: Record, seen: Observation) -> Record:
    """A record of a job that could be submitted but for a limit on queued jobs."""
    return replace(record, source="limit", reason=seen.limits, waits_on=Wait.QUEUE_LIMIT)


def waits_for_budget(record: Record, why: str | None) -> Record:
    """A record of a job that could be submitted but for the budget; None: it is not kept by it."""
    if why is None:
        return record
    return replace(record, source="limit", reason=why, waits_on=Wait.BUDGET)


def put_behind_canaries(run: Run, records: Sequence[Record]) -> list[Record]:
    """The records with those jobs WAITING again that the scheduler has cancelled because the first
    of their stage failed: they wait until that one is tried again."""
    by_name = {record.name: record for record in records}
    return [
        as_waiting_for_canary(record)
        if record.state is JobState.CANCELLED
        # What a person has cancelled stays cancelled.
        and record.waits_on is not Wait.PERSON
        and failed_canary(run.by_name[record.name], record, by_name) is not None
        else record
        for record in records
    ]


def as_waiting_for_canary(record: Record) -> Record:
    """A record as if it had not been submitted; the attempt's number stays used."""
    return replace(
        record,
        state=JobState.WAITING,
        source="orch",
        # A new token next time: of the old one accounting would go on saying CANCELLED.
        token="",
        job_id=None,
        waits_on=Wait.CANARY,
        cause="",
        died_of="",
        held=False,
    )


def failed_canary(job: Job, record: Record, by_name: Mapping[str, Record]) -> Record | None:
    """The first job of its stage, if it has failed and this one was not started for that reason."""
    # waits_for lists the canary last; if the canary is the last failure, it is the reason. A host
    # means that the job did start.
    failed = [name for name in job.waits_for if by_name[name].state in FAILED]
    if not failed or failed[-1] != job.canary or record.host:
        return None
    return by_name[failed[-1]]


def described(run: Run, records: Sequence[Record]) -> list[Record]:
    """The records, each saying what it waits for: of every job that was not submitted or is held,
    and of those that were cancelled with a job that they needed."""
    by_name = {record.name: record for record in records}
    held_reasons = would_fail_alike(records)
    return [
        with_wait(run.by_name[record.name], record, by_name, held_reasons.get(record.name))
        for record in records
    ]


def with_wait(
    job: Job, record: Record, by_name: Mapping[str, Record], held_reason: str | None
) -> Record:
    """One record with what it waits for. ``held_reason``: what others of its stage have failed of,
    if that keeps it from being started."""
    if record.state is JobState.CANCELLED and record.waits_on is not Wait.PERSON:
        return with_failed_parent(job, record, by_name)
    if record.state is JobState.WAITING and record.waits_on not in GATED:
        record = with_parents(job, record, by_name)
    elif not record.held:
        return record
    if held_reason is not None:
        # SIBLINGS would take it out of the backlog, and once it is let go nobody would submit it.
        limited = record.waits_on in LIMITED
        waits_on = record.waits_on if limited else Wait.SIBLINGS
        return replace(record, reason=held_reason, waits_on=waits_on)
    if record.waits_on is Wait.SIBLINGS:
        return replace(record, reason="", waits_on=None)
    return record


def with_failed_parent(job: Job, record: Record, by_name: Mapping[str, Record]) -> Record:
    """A job that was cancelled before it started, with the job that it needed."""
    # A job with a host did start: how it ended itself is its reason.
    failed = [name for name in job.waits_for if by_name[name].state in FAILED]
    if not failed or record.host:
        return record
    return replace(record, reason=f"needs {failed[0]}, which is {by_name[failed[0]].state}")


def with_parents(job: Job, record: Record, by_name: Mapping[str, Record]) -> Record:
    """A job that was not submitted, with the jobs before it that it waits for."""
    canary = failed_canary(job, record, by_name)
    if canary is not None:
        of = f": {canary.reason}" if canary.reason else ""
        reason = f"held: the canary {canary.name} is {canary.state}{of}"
        return replace(record, reason=reason, waits_on=Wait.CANARY)
    parents = [by_name[name] for name in job.waits_for]
    failed = [parent for parent in parents if parent.state in FAILED]
    limited = record.waits_on in LIMITED
    # As long as none of its parents has failed, the limit is what keeps it here.
    if not parents or (limited and not failed):
        return record
    missing = failed or [parent for parent in parents if parent.state not in OVER]
    if not missing:
        reason = "not submitted yet" if record.due else "not submitted; orch launch does it"
        return replace(record, reason=reason, waits_on=None)
    reason = "; ".join(f"{parent.name} {parent.state}" for parent in missing[:3])
    if len(missing) > 3:
        reason += f" and {len(missing) - 3} more"
    if limited:
        # It stays wanted: once its parents can run, whoever polls next submits it.
        return replace(record, reason=reason)
    return replace(record, reason=reason, waits_on=Wait.PARENTS)


@dataclass(frozen=True, kw_only=True)
class Holds:
    """Queued jobs to hold back, and held ones to let go."""

    hold: list[Record]
    release: list[Record]


def holds(records: Sequence[Record]) -> Holds:
    """Hold what would fail as others of its stage have, and let go what is held for nothing."""
    held_reasons = would_fail_alike(records)
    if not held_reasons and not any(record.held for record in records):
        return Holds(hold=[], release=[])
    queued = [r for r in records if r.state is JobState.PENDING and r.job_id]
    return Holds(
        hold=[r for r in queued if r.name in held_reasons and not r.held],
        release=[r for r in queued if r.held and r.name not in held_reasons],
    )


@dataclass(frozen=True, kw_only=True)
class Passes:
    """When somebody has to poll the run again, because nobody else may."""

    after_all: list[list[Record]]
    """For each of these groups once all of its jobs have ended."""
    after_one: list[Record] | None
    """Once one of these has ended, and makes room for the backlog or is to be submitted again;
    None: nobody waits for that."""


def passes_after(run: Run, records: Sequence[Record], submitted: bool) -> Passes:
    """The passes to schedule now. ``submitted``: jobs were submitted in this pass, so that the
    end of the run, of which somebody wants to be told, is another one."""
    groups = behind.jobs_to_watch(run.plan, records)
    if submitted:
        from orchestrator.lifecycle import notifications

        groups += notifications.jobs_to_watch(run, records)
    active = [record for record in records if record.state in ACTIVE and record.job_id]
    # What fails in a run with `retry` is submitted again at the end of each job, not of all. Others
    # may have been put back because it is not known how their parents ended.
    wanted = bool(run.plan.retry) or any(record.due for record in records)
    may_be_retried = bool(wanted and active)
    is_limited = any(record.waits_on in LIMITED for record in records)
    if not is_limited and not may_be_retried:
        return Passes(after_all=groups, after_one=None)
    return Passes(after_all=groups, after_one=active)
