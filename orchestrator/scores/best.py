"""`orch results --best METRIC`: the settings of a sweep as a table, the winner first.

In: a run and a metric. Out: the settings of each stage that has it, in order, and
as plain values. Called by the command `orch results`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engines.contract.words import near
from jobs.ranking import Setting
from orchestrator.errors import RunError
from orchestrator.lifecycle.decided.ranking import (
    higher_is_better,
    metrics_of,
    read_all,
    settings_of,
)
from orchestrator.runs.run import Run


def best_settings(
    run: Run, metric: str, stages: Sequence[str] | None = None
) -> dict[str, list[Setting]]:
    """By stage the settings in the order of a metric. RunError if no stage has it, or nobody says
    which values are better."""
    found = read_all(run)
    known = {
        stage: names
        for stage, names in metrics_of(run, found).items()
        if not stages or stage in stages
    }
    rankings = {}
    for stage, names in known.items():
        if metric not in names:
            continue
        higher = higher_is_better(run, stage, metric)
        if higher is None:
            raise RunError(
                f"{run.name}: nothing says which values of {metric} are better; in the stage "
                f"'{stage}' write metrics: {{{metric}: {{better: lower}}}}, or higher"
            )
        rankings[stage] = settings_of(run, stage, metric, higher, found)
    if not rankings:
        names = sorted({name for listed in known.values() for name in listed})
        there = near(metric, names) if names else ": there are no results yet"
        raise RunError(f"{run.name}: no result has the metric {metric}{there}")
    return rankings


def records_of(rankings: Mapping[str, Sequence[Setting]], metric: str) -> list[dict[str, Any]]:
    """A plain record for each setting."""
    return [
        {
            "stage": stage,
            "rank": rank,
            "metric": metric,
            "axes": one.axes,
            "mean": one.mean,
            "n": len(one.values),
            "spread": one.spread,
            "jobs": {tried.job: tried.value for tried in one.tried},
        }
        for stage, settings in rankings.items()
        for rank, one in enumerate(settings, start=1)
    ]
