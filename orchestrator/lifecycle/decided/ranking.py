"""The settings that the jobs of a run have tried, by a metric of their results.

In: a run. Out: for each stage that has the metric its settings, the best one first. Called by `orch
results --best` and the page of a run. The same rows count as for gates and for the choice of a best
job (``jobs.gates.pick``).
"""

from __future__ import annotations

from collections.abc import Mapping

from engines.contract.metrics import METRICS
from jobs.gates import pick
from jobs.ranking import Setting, Tried, ranked
from orchestrator.lifecycle.gates import Results, read_results
from orchestrator.runs.run import Run

Found = Mapping[str, Results]
"""What lies in the results files of jobs, by name."""


def read_all(run: Run) -> dict[str, Results]:
    """The results of every job that has some; a short canary has none that count."""
    found = {}
    for job in run.plan.jobs:
        results = None if job.name in run.plan.short_canaries else read_results(run, job)
        if results is not None:
            found[job.name] = results
    return found


def higher_is_better(run: Run, stage: str, metric: str) -> bool | None:
    """Which values are better, as the stage or the metric itself says; None: nobody does."""
    chain = run.plan.chains.get(stage)
    if chain is not None and metric in chain.better:
        return chain.better[metric]
    known = METRICS.get(metric)
    return None if known is None else known.higher_is_better


def metrics_of(run: Run, found: Found) -> dict[str, list[str]]:
    """The metrics that the jobs of each stage have left, in their order, of stages that have
    some."""
    names: dict[str, dict[str, None]] = {}
    for name, results in found.items():
        stage = names.setdefault(run.by_name[name].stage, {})
        stage.update(dict.fromkeys(str(row["metric"]) for row in results.rows))
    return {stage: list(metrics) for stage, metrics in names.items()}


def settings_of(run: Run, stage: str, metric: str, higher: bool, found: Found) -> list[Setting]:
    """The settings of one stage, the best one first."""
    tried = []
    search = run.plan.searches.get(stage)
    for job in run.plan.by_stage.get(stage, ()):
        # A point that is not drawn yet is no setting.
        if search is not None and not search.axes.keys() <= job.axes.keys():
            continue
        value, why = None, "no results yet"
        if job.name in found:
            value, why = pick(found[job.name].rows, metric, {})
            why = found[job.name].error or why
        tried.append(Tried(job=job.name, axes=dict(job.axes), value=value, why=why))
    return ranked(tried, higher)
