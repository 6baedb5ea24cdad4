"""Which jobs wait for a decision, and whose end may bring it.

In: a plan, and the records of its jobs. Out: names, and the records to look after. Pure. Called by
``decide``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.planning.plan import Plan
from orchestrator.runs.record import ACTIVE, GATED, Record


def jobs_behind(plan: Plan) -> set[str]:
    """Jobs that a decision keeps from being submitted at launch: those of gated stages, those that
    follow the best one of others, those of later rounds of a search, and all that come after
    them."""
    found: set[str] = set()
    if not (plan.gate_keys or plan.choices or plan.searches):
        return found
    for job in plan.jobs:
        own = job.name in plan.gate_keys or job.name in plan.choices
        own = own or (plan.round_of(job) or 1) > 1
        if own or found.intersection(job.after):
            found.add(job.name)
    return found


def jobs_to_watch(plan: Plan, records: Sequence[Record]) -> list[list[Record]]:
    """For each open gate or choice, and for the next round of each search, the active jobs whose
    end may decide it."""
    by_name = {record.name: record for record in records}
    held = {plan.gate_keys.get(record.name) for record in records if record.waits_on in GATED}
    found: dict[tuple[str, ...], list[Record]] = {}
    judged_by = {
        key: [name for condition in conditions for name in condition.jobs]
        for key, conditions in plan.gates.items()
        if key in held
    }
    for name, choice in plan.choices.items():
        if by_name[name].waits_on in GATED:
            judged_by[name] = [*judged_by.get(name, ()), *choice.jobs]
    for stage in plan.searches:
        judged_by[f"search {stage}"] = round_before_next(plan, stage, by_name)
    for names in judged_by.values():
        judged = [by_name[name] for name in names]
        active = [record for record in judged if record.state in ACTIVE and record.job_id]
        if active:
            # Gates that wait for the same jobs need only one pass after these.
            found.setdefault(tuple(sorted({record.token for record in active})), active)
    return list(found.values())


def round_before_next(plan: Plan, stage: str, by_name: Mapping[str, Record]) -> list[str]:
    """The jobs of a stage by whose values its next round is drawn; none where all are drawn."""
    rounds = {job.name: plan.round_of(job) or 1 for job in plan.jobs if job.stage == stage}
    held = [number for name, number in rounds.items() if by_name[name].waits_on in GATED]
    return [name for name, number in rounds.items() if number == min(held, default=0) - 1]
