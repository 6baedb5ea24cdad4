"""The table of a run's stages, a line each: what a large run is shown as.

In: a run and its records. Out: columns. Called by summary.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.overview.metrics import heading, shown_metrics
from orchestrator.views.overview.signs import SIGNS, states_text, worst
from orchestrator.views.status import clock, elapsed
from orchestrator.views.tables.columns import Column, Kind, column
from orchestrator.views.tables.folding import bar, of_text, range_text


def by_stage(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records of each stage, in the plan's order."""
    stages: dict[str, list[Record]] = {}
    for record in records:
        stages.setdefault(record.stage, []).append(record)
    return stages


def stage_columns(
    run: Run,
    records: Sequence[Record],
    now: float,
    stalled: Set[str],
    metrics: Mapping[str, Mapping[str, float]],
) -> list[Column]:
    """A row for each stage: how many jobs of what, how many are done, in which states, how long
    they took, and between which values their metrics are."""
    stages = by_stage(records)
    groups = list(stages.values())
    first = [worst(record.state for record in group) for group in groups]
    of = [of_text([run.by_name[one.name].axes for one in group]) for group in groups]
    loud = tuple("bold red" if SIGNS[state].colour == "red" else "" for state in first)
    signs = column("", Kind.SIGN, (SIGNS[state].sign for state in first))
    states = column("state", Kind.STATE, (stage_state(group, stalled) for group in groups))
    bars = column("progress", Kind.WHOLE, map(bar_of, groups), 6)
    return [
        replace(signs, styles=tuple(SIGNS[state].colour for state in first)),
        replace(column("stage", Kind.KEY, stages), styles=loud),
        column("jobs", Kind.NUMBER, (f"{len(group):,}" for group in groups)),
        column("of", Kind.WHOLE, (long for long, _ in of), 7),
        replace(bars, styles=("green",) * len(groups)),
        replace(states, styles=loud),
        column("each", Kind.NUMBER, (times_text(group, now) for group in groups), 4),
        *metric_columns(groups, metrics),
    ]


def bar_of(group: Sequence[Record]) -> str:
    """How many jobs are done."""
    return bar(sum(record.state is JobState.COMPLETED for record in group), len(group))


def stage_state(group: Sequence[Record], stalled: Set[str]) -> str:
    """The states of the jobs, and how many are stalled."""
    text = states_text(record.state for record in group)
    count = sum(record.name in stalled for record in group)
    return f"{text}, {count} stalled" if count else text


def times_text(group: Sequence[Record], now: float) -> str:
    """How long the shortest and the longest job has taken."""
    seconds = [lasted for record in group if (lasted := elapsed(record, now)) is not None]
    if not seconds:
        return ""
    least, most = clock(min(seconds)), clock(max(seconds))
    if least == most:
        return least
    # ``3-12 s``: a unit that both have is said once.
    return f"{least.removesuffix(' s') if most.endswith(' s') else least}-{most}"


def metric_columns(
    groups: Sequence[Sequence[Record]], metrics: Mapping[str, Mapping[str, float]]
) -> list[Column]:
    """A column for each metric, of jobs that are done: the value of one that did not finish is no
    result."""
    done = {
        record.name
        for group in groups
        for record in group
        if record.state is JobState.COMPLETED and record.name in metrics
    }
    columns = []
    for name in shown_metrics({job: metrics[job] for job in done}):
        cells = []
        for group in groups:
            values = [metrics[one.name].get(name) for one in group if one.name in done]
            cells.append(range_text(values))
        columns.append(Column(name=heading(name), kind=Kind.NUMBER, cells=tuple(cells), priority=5))
    return columns
