"""The table of a run's jobs, a line each.

In: a run and its records. Out: columns. Called by summary.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.runs.choices.files import axes_with_followed
from orchestrator.runs.record import FAILED, JobState, Record, Wait
from orchestrator.runs.run import Run
from orchestrator.views.moments import said_of
from orchestrator.views.overview.causes import cause_of
from orchestrator.views.overview.metrics import heading, shown_metrics
from orchestrator.views.overview.signs import SIGNS, word_of
from orchestrator.views.pace import last_line
from orchestrator.views.status import clock, origin_text, progress_text, row
from orchestrator.views.tables.columns import Column, Kind, column, numbers, value_text
from orchestrator.views.tables.folding import bar


def job_columns(
    run: Run,
    records: Sequence[Record],
    now: float,
    metrics: Mapping[str, Mapping[str, float]],
    alone: bool = False,
    first: str = "",
) -> list[Column]:
    """A row for each job.

    Args:
        metrics: By job its newest values.
        alone: Whether nothing stands below the table: then it holds the reasons of what failed,
            and bars of what runs.
        first: A metric that is shown before the others.
    """
    known = [row(run, record, now) for record in records]
    why = why_column(run, records, known, now, alone)
    # What follows the best of others has no axes of its own, and theirs say what it was made of.
    points = [axes_with_followed(run, record) for record in records]
    axes = dict.fromkeys(axis for point in points for axis in point)
    signs = column("", Kind.SIGN, (SIGNS[record.state].sign for record in records))
    states = column("state", Kind.STATE, map(state_text, records, known))
    host = column("host", Kind.TEXT, (values["host"] or "" for values in known), 9)
    return [
        replace(signs, styles=tuple(SIGNS[record.state].colour for record in records)),
        column("stage", Kind.KEY, (record.stage for record in records)),
        *(axis_column(axis, points) for axis in axes),
        replace(states, styles=tuple(map(loud, records, known))),
        column("time", Kind.NUMBER, (clock(one["elapsed_seconds"]) for one in known), 2),
        *([bar_column(known)] if alone else []),
        why,
        *metric_columns(records, metrics, first),
        column("id", Kind.WHOLE, (record.job_id or "" for record in records), 8),
        replace(host, of_some=True),
        # Reasons are worth more than where a state is known from.
        column("known from", Kind.TEXT, map(origin_text, known), 8 if alone else 7),
    ]


def why_column(
    run: Run,
    records: Sequence[Record],
    known: Sequence[dict[str, Any]],
    now: float,
    alone: bool,
) -> Column:
    """How far each job is, or why it stands where it does."""
    pairs = zip(records, known, strict=True)
    texts = (why_text(run, record, values, now, alone) for record, values in pairs)
    why = column("progress, or why", Kind.TEXT, texts, 3)
    died = FAILED - {JobState.CANCELLED}
    failed = tuple("red" if record.state in died else "" for record in records)
    # Metrics are short, and the whole reason stands elsewhere.
    return replace(why, styles=failed, yields=alone)


def bar_column(known: Sequence[Mapping[str, Any]]) -> Column:
    """How far each running job is."""
    cells = []
    for values in known:
        step, total = values["step"], values["total"]
        cells.append(bar(step, total) if step is not None and total else "")
    styles = ("green",) * len(cells)
    return Column(name="done", kind=Kind.WHOLE, cells=tuple(cells), styles=styles, priority=6)


def axis_column(axis: str, points: Sequence[Mapping[str, Any]]) -> Column:
    """The values of one axis."""
    cells = tuple(value_text(point.get(axis)) for point in points)
    return Column(name=axis, kind=Kind.AXIS, cells=cells)


def metric_columns(
    records: Sequence[Record], metrics: Mapping[str, Mapping[str, float]], first: str = ""
) -> list[Column]:
    """A column for each metric; the value of a job that has not finished is no result, and dim."""
    dim = tuple("" if one.state is JobState.COMPLETED else "dim" for one in records)
    columns = []
    # Where there is no room, the last ones go.
    for name in sorted(shown_metrics(metrics), key=lambda one: one != first):
        values = [metrics.get(record.name, {}).get(name) for record in records]
        columns.append(
            Column(
                name=heading(name),
                kind=Kind.NUMBER,
                cells=numbers(values, decimals=3),
                styles=dim,
                priority=6,
            )
        )
    return columns


def state_text(record: Record, values: Mapping[str, Any]) -> str:
    """The state, for how long it is stalled, and which attempt it is."""
    text = word_of(record.state)
    if values["stalled_seconds"] is not None:
        text += f", stalled {clock(values['stalled_seconds'])}"
    again = []
    if record.attempt > 1:
        again.append(f"attempt {record.attempt}")
    if record.restarts:
        again.append(f"restart {record.restarts}")
    return f"{text} [{', '.join(again)}]" if again else text


def loud(record: Record, values: Mapping[str, Any]) -> str:
    """The colour of a state's word: only what is wrong has one."""
    is_wrong = record.state in FAILED and record.state is not JobState.CANCELLED
    return "bold red" if is_wrong or values["stalled_seconds"] is not None else ""


def why_text(
    run: Run, record: Record, values: dict[str, Any], now: float, whole: bool = False
) -> str:
    """How far a running job is, or why one waits; ``whole``: also why one failed or was skipped,
    which `orch status` tells below the table."""
    told_below = record.state in FAILED or record.state is JobState.SKIPPED
    if told_below and not whole:
        return ""
    if record.state in FAILED and record.cause:
        cause = cause_of(record)
        return f"{cause.kind}: {cause.line}"
    parents = waits_for_stages(run, record)
    # Metrics have columns of their own.
    text = progress_text({**values, "metrics": {}}, now)
    if not text and record.state is JobState.COMPLETED and not record.reason:
        text = last_words(run, record)
    return said_of(record, now, text or (f"waits for {parents}" if parents else ""))


def last_words(run: Run, record: Record) -> str:
    """The last line that a finished command has printed, often its result; an engine has metrics
    in its place."""
    is_command = run.by_name[record.name].engine is None and record.attempt > 0
    return (last_line(run.log(record)) or "") if is_command else ""


def waits_for_stages(run: Run, record: Record) -> str:
    """The stages of the jobs that one comes after, if these are what it waits for."""
    # Slurm and the local scheduler say that a submitted job waits for others in one word.
    waits = record.waits_on is Wait.PARENTS or record.reason == "Dependency"
    if not waits or "FAILED" in record.reason:
        return ""
    stages = dict.fromkeys(run.by_name[name].stage for name in run.by_name[record.name].waits_for)
    return ", ".join(stages)
