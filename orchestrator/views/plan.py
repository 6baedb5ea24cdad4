"""A plan as text for people: a line for each stage, or for each job.

In: a plan, and the screen it is for. Out: lines of text. Called by `orch plan`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from rich.text import Text

from engines.contract.estimates import estimates_of
from jobs.spec import Job, Resources, asks_for
from orchestrator.description.catalogue import config_class
from orchestrator.description.profile import Profile
from orchestrator.planning.plan import Plan
from orchestrator.views.tables.columns import Column, Kind, column, numbers, value_text
from orchestrator.views.tables.drawing import WHOLE, Screen, drawn_lines, sentence
from orchestrator.views.tables.folding import counted, of_text, values_of

MANY_PARENTS = 3
"""A stage that waits for more than so many, and for all there are, waits for ``all others``."""


def plan_lines(
    plan: Plan,
    profile: Profile | None = None,
    screen: Screen = WHOLE,
    every: bool = False,
    wanted: Sequence[str] = (),
) -> list[Text]:
    """What a launch would submit.

    Args:
        profile: Of the cluster; if it knows a price the GPU-hours are told in money too.
        screen: What it is drawn for.
        every: A line for each job in place of one for each stage.
        wanted: Names of jobs, of which each has a line; empty: all jobs.
    """
    stages = plan.by_stage
    name = f"{plan.experiment} ({plan.preset or 'full'})"
    size = f"{counted(len(plan.jobs), 'job')} in {counted(len(stages), 'stage')}"
    head = f"{name}  {size}, {hours_text(plan, profile)}"
    lines = sentence(head, screen, style="bold")
    lines += sentence(plan.about, screen) if plan.about else []
    lines.append(Text())
    if every or wanted:
        jobs = [job for job in plan.jobs if not wanted or job.name in wanted]
        lines += drawn_lines(job_columns(plan, jobs, whole=bool(wanted)), screen)
    else:
        lines += drawn_lines(stage_columns(plan, stages), screen)
    below = [*gates_text(plan), *estimates(plan)]
    lines += [Text()] if below else []
    for text in below:
        lines += sentence(text, screen)
    if not every and not wanted:
        told = "each job: --all    one stage or job: --job NAME"
        lines += sentence(told, screen, style="dim")
    return lines


def stage_columns(plan: Plan, stages: Mapping[str, Sequence[Job]]) -> list[Column]:
    """A row for each stage: how many jobs of what, what they wait for, what each asks for."""
    sizes = {stage: len(jobs) for stage, jobs in stages.items()}
    before = stages_before(plan)
    groups = list(stages.values())
    hours = [hours_of(jobs, sizes) or None for jobs in groups]
    after = [after_text(plan, jobs, before) for jobs in groups]
    asks = column("each asks", Kind.WHOLE, (of_all(map(asked_text, jobs)) for jobs in groups), 7)
    short = tuple(of_all(short_asks(job.resources) for job in jobs) for jobs in groups)
    return [
        column("stage", Kind.KEY, stages),
        column("jobs", Kind.NUMBER, (f"{size:,}" for size in sizes.values())),
        of_column(plan, groups),
        column("runs", Kind.TEXT, map(runs_text, groups), 8),
        column("after", Kind.TEXT, after, 1, floor=20),
        replace(asks, short=short),
        column("limit", Kind.NUMBER, map(limit_text, groups), 6),
        column("GPU-h", Kind.NUMBER, numbers(hours, 2)),
    ]


def of_column(plan: Plan, groups: Sequence[Sequence[Job]]) -> Column:
    """Of what there are so many jobs in each stage."""
    axes = [axis for axis, found in values_of([job.axes for job in plan.jobs]).items() if found[1:]]
    of = [of_text([job.axes for job in jobs]) for jobs in groups]
    return Column(
        name="of",
        kind=Kind.WHOLE,
        cells=tuple(long for long, _ in of),
        short=tuple(words for _, words in of),
        short_note=f"of: {' × '.join(axes)}" if len(axes) > 1 else "",
        priority=4,
    )


def hours_of(jobs: Sequence[Job], sizes: Mapping[str, int]) -> float:
    """GPU-hours that jobs ask for; those of a pack share theirs. ``sizes``: jobs of each stage."""
    hours = 0.0
    for job in jobs:
        sharing = job.running_of(min(job.pack, sizes[job.stage]))
        hours += job.resources.gpu_hours / sharing
    return round(hours, 2)


def of_all(texts: Iterable[str]) -> str:
    """What is said of some jobs, each different text once."""
    return "; ".join(dict.fromkeys(texts))


def runs_text(jobs: Sequence[Job]) -> str:
    """What some jobs of one stage run: an engine, or the words that their commands begin with."""
    if jobs[0].engine is not None:
        return jobs[0].engine
    words = []
    for place in zip(*(job.command or () for job in jobs), strict=False):
        if len(set(place)) > 1:
            break
        words.append(place[0])
    more = [] if tuple(words) == jobs[0].command else ["…"]
    return " ".join([*words, *more])


def asked_text(job: Job) -> str:
    """What a job asks of the cluster, and who shares it."""
    text = asks_for(job.resources)
    if job.pack > 1:
        text += f", {job.pack} share a node"
    if job.pack > 1 and job.at_once is not None:
        text += f", {job.at_once} at a time"
    return text


def short_asks(resources: Resources) -> str:
    """``2 GPUs``, or of a job without any ``4 CPUs``."""
    number, unit = (resources.gpus, "GPU") if resources.gpus else (resources.cpus, "CPU")
    text = counted(number, unit)
    return f"{resources.nodes} nodes x {text}" if resources.nodes > 1 else text


def limit_text(jobs: Sequence[Job]) -> str:
    """The time limit of one job of a stage, or the least and the greatest."""
    minutes = [job.resources.minutes for job in jobs]
    least, most = min(minutes), max(minutes)
    return clock(most) if least == most else f"{clock(least)} to {clock(most)}"


def stages_before(plan: Plan) -> dict[str, set[str]]:
    """For each stage all that come before it, directly or not."""
    before: dict[str, set[str]] = {}
    stages = plan.stage_of
    # Parents come first in a plan.
    for job in plan.jobs:
        found = before.setdefault(job.stage, set())
        for parent in {stages[name] for name in job.waits_for}:
            found |= {parent, *before[parent]}
    for stage, found in before.items():
        # The first job of a stage goes before the others as their canary.
        found.discard(stage)
    return before


def after_text(plan: Plan, jobs: Sequence[Job], before: Mapping[str, set[str]]) -> str:
    """The stages that some jobs of one stage wait for, what they are chosen from, and the gates
    before them. What comes before one of these is left out."""
    stage = jobs[0].stage
    stages = plan.stage_of
    parents = dict.fromkeys(stages[name] for job in jobs for name in job.waits_for)
    parents.pop(stage, None)
    gates = {}
    for condition in (one for job in jobs for one in plan.conditions_of(job.name)):
        gates[f"{'unless' if condition.negated else 'if'} {condition.stage}"] = condition.stage
    chosen = {plan.choices[job.name].stage: None for job in jobs if job.name in plan.choices}
    indirect = set().union(*(before[name] for name in parents))
    # A gate waits for what it judges: that is said once.
    told = {*gates.values(), *chosen, *indirect}
    apart = [name for name in parents if name not in told]
    if len(apart) > MANY_PARENTS and len(before[stage]) == len(before) - 1:
        return "all others"
    words = [f"the best of {name}" for name in chosen]
    words += ["its own rounds"] if stage in plan.searches else []
    return ", ".join([*apart, *words, *gates])


def job_columns(plan: Plan, jobs: Sequence[Job], whole: bool) -> list[Column]:
    """A row for each job: its axes, what it waits for, what it asks for; ``whole``: by name, with
    the conditions of its gates."""
    stages = plan.stage_of
    sizes = Counter(stages.values())
    if whole:
        waits = ["; ".join(job_waits(plan, job, stages, sizes)) for job in jobs]
    else:
        before = stages_before(plan)
        waits = [after_text(plan, [job], before) for job in jobs]
    axes = dict.fromkeys(axis for job in jobs for axis in job.axes)
    asks = column("asks", Kind.TEXT, map(asked_text, jobs), 7)
    return [
        column("stage", Kind.KEY, (job.stage for job in jobs)),
        *(
            column(axis, Kind.AXIS, (value_text(job.axes.get(axis)) for job in jobs))
            for axis in axes
        ),
        column("runs", Kind.TEXT, (runs_text([job]) for job in jobs), 8),
        column("after", Kind.PROSE, waits, 1, floor=24),
        replace(asks, short=tuple(short_asks(job.resources) for job in jobs)),
        column("limit", Kind.TEXT, (clock(job.resources.minutes) for job in jobs), 6),
    ]


def job_waits(
    plan: Plan, job: Job, stages: Mapping[str, str], sizes: Mapping[str, int]
) -> list[str]:
    """What has to be over, chosen or reached before a job is submitted."""
    waits = chosen_before(plan, job)
    if job.waits_for:
        waits.append(waits_for(job.waits_for, stages, sizes))
    for condition in plan.conditions_of(job.name):
        waits.append(condition.asks if condition.negated else f"when {condition.asks}")
    return waits


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
    """GPU-hours of the whole plan."""
    hours = f"{plan.gpu_hours:g} GPU-hours asked for" if plan.gpu_hours else "no GPU"
    money = "" if profile is None else profile.money(plan.gpu_hours)
    if plan.gpu_hours and money:
        hours += f", at most {money}"
    return hours


def gates_text(plan: Plan) -> Iterator[str]:
    """How much of a plan the gates decide about."""
    gated = plan.gated_jobs
    if not gated:
        return
    stages = {job.stage for job in plan.jobs if job.name in gated}
    sizes = Counter(job.stage for job in plan.jobs)
    behind = hours_of([job for job in plan.jobs if job.name in gated], sizes)
    part = f" ({behind:,g} GPU-hours)" if behind else ""
    yield (
        f"{counted(len(stages), 'stage')} behind gates: {counted(len(gated), 'job')}{part} only if "
        "earlier results say so"
    )


def estimates(plan: Plan) -> Iterator[str]:
    """What the engines say that a job of a stage takes, of the first job of each stage; of stages
    that take the same once."""
    found: dict[str, list[str]] = {}
    for stage, jobs in plan.by_stage.items():
        job = jobs[0]
        known = estimates_of(job.engine) if job.engine else None
        if known is None or job.engine is None:
            continue
        # The plan holds plain JSON; the estimate works on the engine's checked config.
        config = config_class(job.engine).model_validate(job.config)
        text = known.estimate(config, job.resources.gpus, job.resources.minutes)
        if text:
            found.setdefault(text, []).append(stage)
    for text, stages in found.items():
        yield f"{', '.join(stages)}, each job: {text}"


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
    return ", ".join(words)


def clock(minutes: int) -> str:
    """Minutes as hours:minutes."""
    return f"{minutes // 60}:{minutes % 60:02d} h"
