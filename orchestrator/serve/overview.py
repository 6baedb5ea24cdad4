"""What stands above the tables of the page: what went wrong, what waits, the stages, the gates.

In: a run and its records. Out: plain values. Called by answers.py. The words and groups are those
of `orch status`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobs.ranking import without_seed
from jobs.stages import job_name, literal
from orchestrator.runs.record import Record
from orchestrator.runs.run import Run
from orchestrator.views.overview.causes import (
    GROUPS,
    Parts,
    cause_of,
    failed_groups,
    reason_groups,
)
from orchestrator.views.overview.metrics import newest_metrics
from orchestrator.views.overview.stages import by_stage
from orchestrator.views.page import findings
from orchestrator.views.page.facts import colours_of_axis, looks_by_setting, stage_boxes
from orchestrator.views.tables.folding import of_text

MOST_METRICS = 2000
"""Jobs whose newest metrics are read; of more the first ones."""
MOST_GROUPS = 200
"""Reasons under one heading: gates of their own may give each job another one."""


def overview(run: Run, records: Sequence[Record]) -> dict[str, Any]:
    """What the page shows, in this order.

    ``reports``: of each its first sentence; ``colours``: of the page; ``failed``: causes of death
    with their jobs; ``others``: what did not run or waits, and why; ``stages``: what each is of and
    comes after; ``metrics``: by job its newest values.
    """
    begun = [record for record in records if record.attempt or record.reused]
    return {
        "run": run.name,
        "about": run.plan.about,
        "created": run.created,
        "reports": [
            {"job": one.job, "headline": one.headline} for one in findings.reports(run, records)
        ],
        "colours": colours(run),
        "failed": failed(run, records),
        "others": others(run, records),
        "stages": stages(run, records),
        "metrics": newest_metrics(run, begun[:MOST_METRICS]),
    }


def colours(run: Run) -> dict[str, Any]:
    """The axis whose values have the colours on `orch page` and in reports, and each value with the
    place of its colour; an empty name: each setting has its own."""
    axis, looks = colours_of_axis(run).axis, looks_by_setting(run)
    places: dict[str, tuple[Any, int]] = {}
    for job in run.plan.jobs:
        axes = without_seed(job.axes)
        if axis not in axes:
            continue
        value, look = axes[axis], looks[job_name("", axes)]
        if places.setdefault(literal(value), (value, look.colour))[1] != look.colour:
            # Its curves have other colours than the value: no key could say what they mean.
            return {"axis": "", "values": []}
    return {"axis": axis, "values": list(places.values())}


def failed(run: Run, records: Sequence[Record]) -> list[dict[str, Any]]:
    """Each cause of death: its kind, of which jobs, what their log says, what to do."""
    parts = Parts(run, records)
    told = []
    for group in failed_groups(records):
        cause = cause_of(group[0])
        told.append(
            {
                "kind": cause.kind,
                "jobs": parts.text(group),
                "line": cause.line,
                "advice": cause.advice,
                "stage": group[0].stage,
                "first": group[0].name,
                "count": len(group),
            }
        )
    return told


def others(run: Run, records: Sequence[Record]) -> list[dict[str, Any]]:
    """What waits, was stopped or skipped: like jobs with the reason that they share."""
    parts = Parts(run, records)
    told = []
    for title, chosen in GROUPS.items():
        groups = list(reason_groups(chosen(records)).items())
        for reason, group in groups[:MOST_GROUPS]:
            names = [parts.text(members) for members in by_stage(group).values()]
            told.append(
                {
                    "title": title,
                    "state": str(group[0].state),
                    "jobs": "; ".join(names),
                    "reason": reason,
                    "first": group[0].name,
                    "count": len(group),
                }
            )
    return told


def stages(run: Run, records: Sequence[Record]) -> list[dict[str, Any]]:
    """Each stage in the order of the plan: name, what it is of, what it comes after, whose results
    decide about it."""
    of_stage = by_stage(records)
    told = []
    for box in stage_boxes(run, records):
        points = [run.by_name[one.name].axes for one in of_stage[box.name]]
        told.append(
            {
                "stage": box.name,
                "of": of_text(points)[0],
                "after": sorted(box.needs),
                "gates": sorted(box.gates),
            }
        )
    return told
