"""Searches at work: the jobs of a round wait until its points are drawn.

In: a plan, records, and what lies in the run's folder (``read_inputs``). Out: records, of which the
jobs of later rounds are held, and the rounds that were drawn in this pass (``judge``, pure), to be
kept (``orchestrator/runs/choices/rounds.py``). Called by ``decide`` and by what carries it out.

A round is drawn when no value of the round before can come any more, and at least one of its points
has one; without any it waits for a person. A point has a value if each of its seeds has; else
Optuna is told that it failed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from jobs.choices import Choice
from jobs.searches import POINT, Round, Search, Told, told
from jobs.spec import Job
from jobs.stages import Point
from orchestrator.lifecycle import gates
from orchestrator.lifecycle.decided.drawing import draw_round, drawn_by
from orchestrator.planning.plan import Plan
from orchestrator.runs.choices.rounds import lacking, load_rounds
from orchestrator.runs.record import ACTIVE, GATED, JobState, Record, Wait
from orchestrator.runs.run import Run

SOURCE = "search"
"""Source of what is said of a job whose values are not drawn."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What rounds are drawn by, beside the states of jobs."""

    rounds: Mapping[str, Sequence[Round]] = field(default_factory=dict)
    """Those that were drawn, by stage."""
    results: Mapping[str, gates.Results] = field(default_factory=dict)
    """Of the jobs of these, where another round is to come."""
    now: float = 0.0
    """When they were read, in Unix seconds."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a pass says of the searches."""

    records: list[Record]
    drawn: Mapping[str, Round] = field(default_factory=dict)
    """The next round, by stage."""
    due: Set[str] = frozenset()
    """Jobs whose round a pass that asks anew may draw."""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a round is not drawn."""

    text: str
    """Empty: it can be, or is."""
    final: bool = False
    """No value is left to wait for."""


def read_inputs(run: Run) -> Inputs:
    """The rounds so far, and the results that the next one is drawn by."""
    rounds, results = {}, {}
    for stage, search in run.plan.searches.items():
        rounds[stage] = load_rounds(run, stage)
        if len(rounds[stage]) == search.rounds:
            continue
        for job in run.plan.jobs:
            if job.stage == stage and search.round_of(job.axes) <= len(rounds[stage]):
                found = gates.read_results(run, job)
                if found is not None:
                    results[job.name] = found
    return Inputs(rounds=rounds, results=results, now=time.time())


def judge(
    plan: Plan,
    before: Sequence[Record],
    judged: Sequence[Record],
    inputs: Inputs,
    overrides: Mapping[str, Mapping[str, Any]],
    fresh: bool,
) -> Judged:
    """Draw the rounds that can be drawn, and hold the jobs of those that cannot.

    Args:
        before: the records before this pass.
        judged: the same when the gates have spoken.
        overrides: what a person has decided, by job.
        fresh: the scheduler was asked by this pass; else nothing is drawn, as a job that seems to
            have failed may be about to be submitted again.
    """
    by_name = {record.name: record for record in judged}
    was = {record.name: record for record in before}
    drawn, due = {}, set[str]()
    for stage, search in plan.searches.items():
        jobs = [job for job in plan.jobs if job.stage == stage]
        known = inputs.rounds.get(stage, ())
        points = told_so_far(search, jobs, known, by_name, inputs.results)
        number = len(known) + 1
        reason = next_round(search, number, points, jobs, by_name, overrides)
        if number <= search.rounds and not reason.text:
            if fresh or number == 1:
                drawn[stage] = made(search, number, points, inputs.now)
                number, points = number + 1, with_drawn(points, drawn[stage])
                reason = next_round(search, number, points, jobs, by_name, overrides)
            else:
                due |= {job.name for job in jobs if search.round_of(job.axes) == number}
        for job in jobs:
            held = held_by(search, search.round_of(job.axes), number, reason)
            record = by_name[job.name]
            by_name[job.name] = with_round(record, was[job.name], held, inputs.now)
    return Judged(records=[by_name[record.name] for record in judged], drawn=drawn, due=due)


def told_so_far(
    search: Search,
    jobs: Sequence[Job],
    known: Sequence[Round],
    by_name: Mapping[str, Record],
    results: Mapping[str, gates.Results],
) -> list[Told]:
    """What each point that was drawn has left."""
    judging = choice_of(search)
    of_point: dict[int, list[Job]] = {}
    for job in jobs:
        of_point.setdefault(int(job.axes[POINT]), []).append(job)
    points: list[Point] = [point for one in known for point in one.points]
    found = []
    for number, axes in enumerate(points):
        own = of_point.get(number, [])
        values = [
            gates.finding(judging, by_name[job.name], results.get(job.name)).value for job in own
        ]
        to_come = any(
            value is None and may_come(by_name[job.name])
            for value, job in zip(values, own, strict=True)
        )
        found.append(told(number, axes, values, to_come))
    return found


def with_drawn(points: Sequence[Told], one: Round) -> list[Told]:
    """The points with those of a round that nobody has submitted yet."""
    added = [
        Told(point=number, axes=axes, value=None, open=True)
        for number, axes in enumerate(one.points, start=len(points))
    ]
    return [*points, *added]


def choice_of(search: Search) -> Choice:
    """The metric and the row of a search, as gates and choices read them."""
    return Choice(metric=search.metric, stage="", jobs=(), higher=search.higher, where=search.where)


def may_come(record: Record) -> bool:
    """Whether a job without a value may still bring it. One that is SKIPPED comes only if a person
    decides so."""
    return record.state in ACTIVE or record.state in (JobState.WAITING, JobState.UNKNOWN)


def next_round(
    search: Search,
    number: int,
    points: Sequence[Told],
    jobs: Sequence[Job],
    by_name: Mapping[str, Record],
    overrides: Mapping[str, Mapping[str, Any]],
) -> Reason:
    """Why the next round cannot be drawn yet."""
    if number == 1 or number > search.rounds:
        return Reason(text="")
    own, before = of_round(search, number, jobs), of_round(search, number - 1, jobs)
    # A person's word on one job of a round is meant for the round.
    at_once = any(overrides.get(job.name, {}).get("decision") == "run" for job in own)
    told_last = points[-search.n :]
    there = sum(one.value is not None for one in told_last)
    states = Counter(str(by_name[job.name].state) for job in before)
    states.pop(str(JobState.COMPLETED), None)
    parts = [f"{there} of {len(told_last)} points have a value"]
    parts += [f"{count} jobs {state}" for state, count in states.items()]
    head = f"round {number} of {search.rounds} is drawn by the {search.asks} of round {number - 1}"
    said = f"{head}: {', '.join(parts)}"
    if not at_once and any(one.open for one in told_last):
        return Reason(text=said)
    if not at_once and not there:
        hint = "nothing more will come: orch retry, or orch override --run"
        return Reason(text=f"{said}; {hint}", final=True)
    lacks = lacking()
    return Reason(text=f"{head}: {lacks}; then orch advance" if lacks else "")


def of_round(search: Search, number: int, jobs: Sequence[Job]) -> list[Job]:
    """The jobs of one round."""
    return [job for job in jobs if search.round_of(job.axes) == number]


def made(search: Search, number: int, points: Sequence[Told], now: float) -> Round:
    """The next round, drawn."""
    return Round(
        number=number,
        points=tuple(draw_round(search, number, points)),
        by=drawn_by(number),
        told=tuple(points),
        time=now,
    )


def held_by(search: Search, own: int, number: int, reason: Reason) -> Reason:
    """Why a job of the round ``own`` waits while ``number`` is the next one to be drawn."""
    if own < number:
        return Reason(text="")
    if own > number:
        return Reason(text=f"round {own} of {search.rounds}: round {own - 1} is not drawn yet")
    if not reason.text:
        return Reason(text=f"round {number} of {search.rounds} is about to be drawn")
    return reason


def with_round(record: Record, before: Record, held: Reason, now: float) -> Record:
    """A record of a job that is held for this reason; without one it is let go, as far as it is
    this that has held it."""
    if record.state is not JobState.WAITING or record.source == "gate":
        return record
    mine = record.source == SOURCE and record.waits_on in GATED
    if not held.text:
        if not mine:
            return record
        return gates.changed(record, now, source="orch", reason="", waits_on=None)
    return gates.changed(
        before,
        now,
        state=JobState.WAITING,
        source=SOURCE,
        reason=held.text,
        waits_on=Wait.NOTHING_MORE if held.final else Wait.GATE,
    )
