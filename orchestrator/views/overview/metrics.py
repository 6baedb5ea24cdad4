"""The newest metrics of the jobs of a run, for its tables.

In: a run and its records. Out: values by job and metric. Called by summary.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.pace import last_progress, worth_showing

MOST = 3
"""Columns of metrics in a table."""
OF_A_RUNNING_JOB = ("done", "scored", "tokens_per_second")
"""Metrics that say nothing any more once a job is over."""
WITH_METRICS = frozenset({JobState.COMPLETED, JobState.RUNNING, JobState.COMPLETING})


def newest_metrics(run: Run, records: Sequence[Record]) -> dict[str, dict[str, float]]:
    """What the last line of progress of each job says; reads a file for each."""
    found = {}
    for record in records:
        if record.state not in WITH_METRICS or not (record.attempt or record.reused):
            continue
        lines = last_progress(run.out_folder(record))
        metrics = worth_showing(lines[-1], run.plan.named_metrics(record.stage)) if lines else {}
        kept = {name: value for name, value in metrics.items() if name not in OF_A_RUNNING_JOB}
        if kept:
            found[record.name] = kept
    return found


def shown_metrics(metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The metrics that have a column: those of most jobs."""
    counts = Counter(name for values in metrics.values() for name in values)
    return [name for name, _ in counts.most_common(MOST)]


def heading(metric: str) -> str:
    """A metric in words."""
    return metric.removesuffix("_mean").replace("_", " ")
