"""`orch results`: the tidy rows of everything that ran, whatever the engine.

In: a run, and which of its jobs and metrics. Out: rows, also in a file.
Called by the commands `orch results` and `orch diff`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import msgspec

from engines.contract.config import ConfigError
from engines.contract.counting.counts import counted
from engines.contract.files import write_text
from engines.contract.progress import read_progress
from engines.contract.results import Row, read_results
from engines.contract.tidy import Tidy, csv_text, write_parquet
from jobs.stages import Scalar
from orchestrator.errors import RunError
from orchestrator.runs.choices.files import axes_with_followed
from orchestrator.runs.documents.damage import note
from orchestrator.runs.documents.reading import unknown_form
from orchestrator.runs.documents.results import remedy
from orchestrator.runs.layout import RESULTS
from orchestrator.runs.lookup import named
from orchestrator.runs.run import Run

BOUNDS = ("low", "high")
"""Axes of a report's rows that are the ends of an interval."""


class Scored(TypedDict):
    """A checkpoint that an evaluation has scored."""

    name: str
    fingerprint: NotRequired[str | None]
    step: NotRequired[int]
    epoch: NotRequired[int | float | None]


class Task(TypedDict):
    """A file of tasks."""

    file: str
    sha256: str


class Listed(TypedDict):
    """The facts of whoever scored checkpoints."""

    checkpoints: NotRequired[list[Scored]]


class Evaluated(Listed):
    """The facts of an evaluation."""

    tasks: NotRequired[dict[str, Task]]


class Compared(TypedDict):
    """The facts of a comparison."""

    headline: str
    missing: list[str]


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
    for job in counted("reading results", run.plan.jobs):
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
        told = document["facts"].get("problems")
        # Engines count other problems there: how many a training has of each task.
        problems += [f"{job.name}: {text}" for text in told] if isinstance(told, list) else []
        path, axes = str(out / RESULTS), axes_with_followed(run, job)
        lines += [tidy(row, axes, path, job.name, job.stage) for row in rows]
    if metrics:
        lines = of_metrics(run, lines, wanted, unfinished, metrics)
    return lines, unfinished, problems


def of_metrics(
    run: Run,
    lines: Sequence[Tidy],
    wanted: Set[str] | None,
    unfinished: Sequence[str],
    metrics: Sequence[str],
) -> list[Tidy]:
    """The rows of some metrics. RunError if one of them has none."""
    known = {line.row.metric for line in lines}
    absent = sorted(set(metrics) - known)
    if absent:
        there = ", ".join(sorted(known)) or in_place_of_results(run, wanted, unfinished)
        raise RunError(
            f"{run.name}: no result has the metric {', '.join(absent)}; there are: {there}"
        )
    return [line for line in lines if line.row.metric in metrics]


def in_place_of_results(run: Run, wanted: Set[str] | None, unfinished: Sequence[str]) -> str:
    """What there is where no job that was asked about has left a result: metrics of the progress of
    those that are done, which are no results, and results of other jobs."""
    asked = [job for job in run.plan.jobs if wanted is None or job.name in wanted]
    done = [job for job in asked if job.name not in set(unfinished)]
    if not done:
        return "none yet"
    parts = [f"none, though {done[0].name} is done"]
    logged = dict.fromkeys(
        name for line in read_progress(run.out_folder(done[0])) for name in line["metrics"]
    )
    if logged:
        parts.append(f"its progress has {', '.join(logged)}, which are no results")
    others = {line.row.metric for line in gather(run, None, None)[0]} if wanted else set()
    if others:
        parts.append(f"other jobs have {', '.join(sorted(others))}")
    return "; ".join(parts)


def whole_results(
    out: Path, job: str, facts: Any = dict[str, Any]
) -> tuple[list[Row], dict[str, Any]] | None:
    """The rows of a job and the whole document; None, and a note, if they are damaged.

    Args:
        facts: the form of the facts that are looked at. Each engine has facts of its own, and a
            command may leave any.
    """
    try:
        rows, document = read_results(out)
        msgspec.convert(document.get("facts"), facts)
        return rows, document
    except ConfigError as error:
        note(out / RESULTS, str(error).partition(": ")[2], remedy(job))
    except msgspec.ValidationError as error:
        note(out / RESULTS, unknown_form(error), remedy(job))
    except OSError as error:
        note(out / RESULTS, f"cannot be read ({error.strerror})", remedy(job))
    return None


def tidy(row: Row, axes: Mapping[str, Scalar], path: str, job: str, stage: str) -> Tidy:
    """One row with its job; the ends of an interval become columns of their own."""
    # Where the job and the row have an axis of the same name, the row's counts.
    told = {**axes, **row.axes}
    low, high = None, None
    if not row.axes.keys().isdisjoint(BOUNDS):
        low, high = (bound(row.axes.get(name)) for name in BOUNDS)
        told = {**axes, **{name: one for name, one in row.axes.items() if name not in BOUNDS}}
    return Tidy(row, path, low, high, job, stage, told)


def bound(value: Scalar | None) -> float | None:
    """One end of a row's interval; None if it has none."""
    return float(value) if isinstance(value, int | float) else None


def write_table(path: Path, lines: Sequence[Tidy], parquet: bool) -> None:
    """Write the rows; RunError where that cannot be."""
    if not path.parent.is_dir():
        raise RunError(f"{path}: there is no folder {path.parent}; make it, or name another file")
    if path.is_dir():
        raise RunError(f"{path}: is a folder; name a file in it")
    try:
        if parquet:
            write_parquet(path, lines)
        else:
            write_text(path, csv_text(lines))
    except ConfigError as error:
        raise RunError(f"{path}: {error}") from error
