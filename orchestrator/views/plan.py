"""A plan as a table for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from engines.contract.estimates import estimates_of
from jobs.spec import asks_for
from orchestrator.description.engine_config import config_class
from orchestrator.planning.plan import Plan


def render_plan(plan: Plan) -> Table:
    """Every job, what it waits for, and what it asks for."""
    hours, gated = (
        f"{plan.gpu_hours:g} GPU-hours asked for" if plan.gpu_hours else "no GPU",
        plan.gated_jobs,
    )
    if gated:
        behind = sum(job.resources.gpu_hours for job in plan.jobs if job.name in gated)
        hours += (
            f"; {len(gated)} of the jobs"
            + (f" ({behind:g} GPU-hours)" if behind else "")
            + " only if their gates say so"
        )
    caption = "\n".join([*([plan.about] if plan.about else []), *estimates(plan)])
    table = Table(
        title=f"{plan.experiment} ({plan.preset or 'full'}): {len(plan.jobs)} jobs, {hours}",
        caption=caption or None,
        title_justify="left",
        caption_justify="left",
    )
    for heading in ("job", "runs", "waits for", "resources", "time limit"):
        table.add_column(heading, overflow="fold")
    stages = {job.name: job.stage for job in plan.jobs}
    sizes = {stage: list(stages.values()).count(stage) for stage in stages.values()}
    for job in plan.jobs:
        runs = job.engine or " ".join(job.command or ())
        waits = (
            [waits_for(job.waits_for, stages, sizes)]
            if job.waits_for or job.stage not in plan.gates
            else []
        )
        gates = [
            one.asks if one.negated else f"when {one.asks}" for one in plan.gates.get(job.stage, ())
        ]
        table.add_row(
            job.name,
            runs if len(runs) <= 40 else f"{runs[:37]}...",
            "\n".join([*waits, *gates]),
            asks_for(job.resources)
            + (f"\n{job.pack} of them share a node" if job.pack > 1 else ""),
            clock(job.resources.minutes),
        )
    return table


def estimates(plan: Plan) -> Iterator[str]:
    """What the engines say that a job of a stage takes, for the first job of each stage."""
    first_jobs = {job.stage: job for job in reversed(plan.jobs)}
    for job in first_jobs.values():
        known = estimates_of(job.engine) if job.engine else None
        if known is None or job.engine is None:
            continue
        config = config_class(job.engine).model_validate(job.config)
        found = known.estimate(config, job.resources.gpus, job.resources.minutes)
        if found:
            yield f"{job.stage}, each job: {found}"


def waits_for(after: tuple[str, ...], stages: dict[str, str], sizes: dict[str, int]) -> str:
    """Parents by name; a whole stage of several jobs as ``train (6 jobs)``."""
    words = []
    for stage in dict.fromkeys(stages[name] for name in after):
        names = [name for name in after if stages[name] == stage]
        words += [f"{stage} ({len(names)} jobs)"] if len(names) == sizes[stage] > 1 else names
    return ", ".join(words) or "-"


def clock(minutes: int) -> str:
    """Minutes as hours:minutes."""
    return f"{minutes // 60}:{minutes % 60:02d} h"
