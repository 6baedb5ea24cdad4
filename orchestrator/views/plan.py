"""A plan as a table for people.

In: a plan. Out: the table that `orch plan`, `orch check` and `orch launch --dry-run` print.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table

from engines.contract.estimates import estimates_of
from jobs.spec import Job, asks_for
from orchestrator.description.catalogue import config_class
from orchestrator.description.profile import Profile
from orchestrator.planning.plan import Plan

RUNS_LETTERS = 40
"""Of an engine's name or a command, in the table."""


def render_plan(plan: Plan, profile: Profile | None = None) -> Table:
    """Every job, what it waits for, and what it asks for; in money too, if the profile of the
    cluster knows a price."""
    caption = "\n".join([*([plan.about] if plan.about else []), *estimates(plan)])
    name = f"{plan.experiment} ({plan.preset or 'full'})"
    table = Table(
        title=f"{name}: {len(plan.jobs)} jobs, {hours_text(plan, profile)}",
        caption=caption or None,
        title_justify="left",
        caption_justify="left",
    )
    for heading in ("job", "runs", "waits for", "resources", "time limit"):
        table.add_column(heading, overflow="fold")
    stages = {job.name: job.stage for job in plan.jobs}
    sizes = Counter(stages.values())
    for job in plan.jobs:
        runs = job.engine or " ".join(job.command or ())
        if len(runs) > RUNS_LETTERS:
            runs = f"{runs[: RUNS_LETTERS - 3]}..."
        waits = chosen_before(plan, job)
        # A gated job without parents would have a "-" for "nothing" beside its gate.
        conditions = plan.conditions_of(job.name)
        if job.waits_for or not (conditions or waits):
            waits.append(waits_for(job.waits_for, stages, sizes))
        for condition in conditions:
            waits.append(condition.asks if condition.negated else f"when {condition.asks}")
        resources = asks_for(job.resources)
        if job.pack > 1:
            resources += f"\n{job.pack} of them share a node"
            if job.at_once is not None:
                resources += f", {job.at_once} at a time"
        table.add_row(job.name, runs, "\n".join(waits), resources, clock(job.resources.minutes))
    return table


def chosen_before(plan: Plan, job: Job) -> list[str]:
    """What has to be chosen or drawn before a job is submitted."""
    waits = []
    choice, search = plan.choices.get(job.name), plan.searches.get(job.stage)
    if choice is not None:
        waits.append(choice.asks)
    if search is not None and search.round_of(job.axes) > 1:
        number = search.round_of(job.axes)
        waits.append(f"round {number}, by the {search.asks} of round {number - 1}")
    return waits


def hours_text(plan: Plan, profile: Profile | None) -> str:
    """GPU-hours of the whole plan, and how much of it the gates decide about."""
    hours = f"{plan.gpu_hours:g} GPU-hours asked for" if plan.gpu_hours else "no GPU"
    money = "" if profile is None else profile.money(plan.gpu_hours)
    if plan.gpu_hours and money:
        hours += f", at most {money}"
    gated = plan.gated_jobs
    if not gated:
        return hours
    behind = sum(job.resources.gpu_hours for job in plan.jobs if job.name in gated)
    part = f" ({behind:g} GPU-hours)" if behind else ""
    return f"{hours}; {len(gated)} of the jobs{part} only if their gates say so"


def estimates(plan: Plan) -> Iterator[str]:
    """What the engines say that a job of a stage takes, for the first job of each stage."""
    # In a dictionary the last value of a key wins: reversed, that is the stage's first job.
    first_jobs = {job.stage: job for job in reversed(plan.jobs)}
    for job in first_jobs.values():
        known = estimates_of(job.engine) if job.engine else None
        if known is None or job.engine is None:
            continue
        # The plan holds plain JSON; the estimate works on the engine's checked config.
        config = config_class(job.engine).model_validate(job.config)
        found = known.estimate(config, job.resources.gpus, job.resources.minutes)
        if found:
            yield f"{job.stage}, each job: {found}"


def waits_for(after: Sequence[str], stages: Mapping[str, str], sizes: Mapping[str, int]) -> str:
    """Parents by name; a whole stage of several jobs as ``train (6 jobs)``."""
    parents: dict[str, list[str]] = {}
    for name in after:
        parents.setdefault(stages[name], []).append(name)
    words = []
    for stage, names in parents.items():
        if len(names) == sizes[stage] > 1:
            words.append(f"{stage} ({len(names)} jobs)")
        else:
            words += names
    return ", ".join(words) or "-"


def clock(minutes: int) -> str:
    """Minutes as hours:minutes."""
    return f"{minutes // 60}:{minutes % 60:02d} h"
