"""The newest metrics of the jobs of a run, for its tables.

In: a run and its records. Out: values by job and metric. Called by summary.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from engines.contract.files import content_of, loads
from engines.contract.progress import is_number
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.pace import last_progress, worth_showing

MOST = 3
"""Columns of metrics in a table."""
MOST_BYTES = 65_536
"""Of a file of results that is read for a table: a larger one has rows with axes of their own."""
OF_A_RUNNING_JOB = ("done", "scored", "tokens_per_second")
"""Metrics that say nothing any more once a job is over."""
WITH_METRICS = frozenset({JobState.COMPLETED, JobState.RUNNING, JobState.COMPLETING})


def newest_metrics(run: Run, records: Sequence[Record]) -> dict[str, dict[str, float]]:
    """What the last line of progress of each job says, and of a finished command before that the
    results that its stage names under ``metrics``; reads a file or two for each."""
    found = {}
    for record in records:
        if record.state not in WITH_METRICS or not (record.attempt or record.reused):
            continue
        named = run.plan.named_metrics(record.stage)
        lines = last_progress(run.out_folder(record))
        metrics = worth_showing(lines[-1], named) if lines else {}
        kept = {name: value for name, value in metrics.items() if name not in OF_A_RUNNING_JOB}
        if named and record.state is JobState.COMPLETED:
            kept = {**results_named(run.results_file(record), named), **kept}
        if kept:
            found[record.name] = kept
    return found


def results_named(path: Path, names: Collection[str]) -> dict[str, float]:
    """The results of these names that are one number for the whole job; `orch results` has the
    others, and says what is wrong with a file."""
    try:
        rows = loads(content_of(path))["rows"] if path.stat().st_size <= MOST_BYTES else []
        values = {row["metric"]: row["value"] for row in rows if not row["axes"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {name: float(values[name]) for name in names if is_number(values.get(name))}


def shown_metrics(metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The metrics that have a column: those of most jobs."""
    counts = Counter(name for values in metrics.values() for name in values)
    return [name for name, _ in counts.most_common(MOST)]


def heading(metric: str) -> str:
    """A metric in words."""
    return metric.removesuffix("_mean").replace("_", " ")
