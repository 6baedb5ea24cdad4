"""`orch results`: the tidy rows of everything that ran, whatever the engine.

In: a run, and which of its jobs and metrics. Out: rows, also in a file.
Called by the commands `orch results` and `orch diff`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError
from engines.contract.files import write_text
from engines.contract.results import Row, read_results
from engines.contract.tidy import Tidy, csv_text, write_parquet
from orchestrator.errors import RunError
from orchestrator.runs.choices.files import axes_with_followed
from orchestrator.runs.documents.damage import note
from orchestrator.runs.documents.results import remedy
from orchestrator.runs.layout import RESULTS
from orchestrator.runs.lookup import named
from orchestrator.runs.run import Run

Axes = dict[str, str | int | float | bool]
BOUNDS = ("low", "high")
"""Axes of a report's rows that are the ends of an interval."""


def gather(
    run: Run, jobs: Sequence[str] | None, metrics: Sequence[str] | None
) -> tuple[list[Tidy], list[str], list[str]]:
    """The rows of the named jobs, told apart by the job's axes, those of the job that it follows as
    the best one, and their own; the jobs that have none yet; and in words what commands have left
    that is no row.

    RunError if nothing is done, or if no row has one of ``metrics``.
    """
    wanted = named(run, jobs)
    lines: list[Tidy] = []
    unfinished = []
    problems = []
    for job in run.plan.jobs:
        # The short canary of a stage has rows of no use, but may be asked for by its name.
        asked = job.name not in run.plan.short_canaries if wanted is None else job.name in wanted
        if not asked:
            continue
        out = run.out_folder(job)
        if not (out / RESULTS).exists():
            unfinished.append(job.name)
            continue
        found = whole_results(out, job.name)
        if found is None:
            unfinished.append(job.name)
            continue
        rows, document = found
        problems += [f"{job.name}: {text}" for text in document["facts"].get("problems", [])]
        axes = axes_with_followed(run, job)
        for row in rows:
            lines.append(tidy(row, axes, out / RESULTS, job.name, job.stage))
    return of_metrics(run, lines, metrics) if metrics else lines, unfinished, problems


def of_metrics(run: Run, lines: Sequence[Tidy], metrics: Sequence[str]) -> list[Tidy]:
    """The rows of some metrics. RunError if one of them has none."""
    known = {line.row.metric for line in lines}
    absent = sorted(set(metrics) - known)
    if absent:
        raise RunError(
            f"{run.name}: no result has the metric {', '.join(absent)}; there are: "
            f"{', '.join(sorted(known)) or 'none yet'}"
        )
    return [line for line in lines if line.row.metric in metrics]


def whole_results(out: Path, job: str) -> tuple[list[Row], dict[str, Any]] | None:
    """The rows of a job and the whole document; None, and a note, if they are damaged."""
    try:
        return read_results(out)
    except ConfigError as error:
        note(out / RESULTS, str(error).partition(": ")[2], remedy(job))
    except OSError as error:
        note(out / RESULTS, f"cannot be read ({error.strerror})", remedy(job))
    return None


def tidy(row: Row, axes: Axes, path: Path, job: str, stage: str) -> Tidy:
    """One row with its job; the ends of an interval become columns of their own."""
    # Where the job and the row have an axis of the same name, the row's counts.
    own = {name: value for name, value in row.axes.items() if name not in BOUNDS}
    low, high = (bound(row, name) for name in BOUNDS)
    return Tidy(row.model_copy(update={"axes": {**axes, **own}}), str(path), low, high, job, stage)


def bound(row: Row, name: str) -> float | None:
    """One end of a row's interval; None if it has none."""
    value = row.axes.get(name)
    return float(value) if isinstance(value, int | float) else None


def write_table(path: Path, lines: Sequence[Tidy], parquet: bool) -> None:
    """Write the rows; RunError where that cannot be."""
    try:
        if parquet:
            write_parquet(path, lines)
        else:
            write_text(path, csv_text(lines))
    except (ConfigError, OSError) as error:
        raise RunError(f"{path}: {error}") from error
