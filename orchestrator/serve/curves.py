"""Curves for the page: the progress of jobs, with as many points as a screen can show.

In: a run and records. Out: plain values. Called by answers.py; which metrics are drawn is decided
where `orch page` decides it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engines.contract.progress import read_progress
from engines.shared.reporting.look import NEUTRAL
from jobs.ranking import without_seed
from jobs.stages import literal
from orchestrator.runs.choices.files import axes_with_followed
from orchestrator.runs.record import Record
from orchestrator.runs.run import Run
from orchestrator.views.page.facts import (
    SAMPLED,
    colours_of_axis,
    job_curves,
    look_of,
    looks_by_setting,
    varying_axes,
)

MOST_POINTS = 300
"""Of a curve, at most."""

Points = Sequence[tuple[float, float]]


def curves_of(run: Run, records: Sequence[Record]) -> dict[str, Any]:
    """The curves of each stage, of a sample of the jobs of a large one.

    ``stages``: by stage how many of its jobs have begun and how many of them are drawn;
    ``curves``: stage, metric, job, points as pairs of step and value, and how `orch page` draws it:
    label, place of its colour (none: it has no value of the axis that has them) and of its
    kind of line.
    """
    begun: dict[str, list[Record]] = {}
    for record in records:
        if record.attempt or record.reused:
            begun.setdefault(record.stage, []).append(record)
    looks, axis = looks_by_setting(run), colours_of_axis(run).axis
    stages, curves = {}, []
    for stage, members in begun.items():
        # Rounded up, so that every k-th job makes SAMPLED of them at most.
        drawn = members[:: max(1, -(-len(members) // SAMPLED))]
        stages[stage] = {"begun": len(members), "drawn": len(drawn)}
        varying = varying_axes(run, stage)
        for record in drawn:
            axes = without_seed(axes_with_followed(run, record))
            look = look_of(looks, axes, axis)
            words = [f"{name} {literal(axes[name])}" for name in varying if name in axes]
            if look.colour == NEUTRAL:
                words.append(f"without {axis}")
            for metric, points in job_curves(run, record):
                curves.append(
                    {
                        "stage": stage,
                        "metric": metric,
                        "job": record.name,
                        "points": extremes(points),
                        "label": ", ".join(words),
                        "colour": None if look.colour == NEUTRAL else look.colour,
                        "line": look.line,
                    }
                )
    return {"run": run.name, "stages": stages, "curves": curves}


def job_curves_of(run: Run, record: Record) -> dict[str, Any]:
    """Every metric of one job, in the order in which they first appear."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line in read_progress(run.out_folder(record)):
        for metric, value in line["metrics"].items():
            found.setdefault(metric, []).append((line["step"], value))
    curves = [{"metric": name, "points": extremes(points)} for name, points in found.items()]
    return {"run": run.name, "job": record.name, "curves": curves}


def extremes(points: Points, most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """At most so many points: of neighbours the least and the greatest, so that no peak is lost;
    the first and the last one always."""
    if len(points) <= most:
        return list(points)
    parts = (most - 2) // 2
    inner = points[1:-1]
    kept = [points[0]]
    for part in range(parts):
        run_of = inner[part * len(inner) // parts : (part + 1) * len(inner) // parts]
        ends = {id(one): one for one in (min(run_of, key=value_of), max(run_of, key=value_of))}
        kept += sorted(ends.values(), key=lambda one: one[0])
    return [*kept, points[-1]]


def value_of(point: tuple[float, float]) -> float:
    """The value at a step."""
    return point[1]
