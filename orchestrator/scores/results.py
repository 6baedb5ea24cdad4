"""`orch results`: the tidy rows of everything that ran, whatever the engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from engines.contract.config import ConfigError
from engines.contract.files import write_text
from engines.contract.results import Row, read_results
from engines.contract.tidy import Tidy, csv_text, records, write_parquet
from orchestrator.errors import RunError
from orchestrator.runs.run import Run, named

Axes = dict[str, str | int | float | bool]
BOUNDS = ("low", "high")
"""Axes of a report's rows that are the ends of an interval."""
NUMBERS = ("value", "n", *BOUNDS, "spread")


def gather(
    run: Run, jobs: Sequence[str] | None, metrics: Sequence[str] | None
) -> tuple[list[Tidy], list[str]]:
    """The rows of the named jobs, told apart by the job's axes and their own; and the jobs that
    have none yet.

    RunError if nothing is done, or if no row has one of ``metrics``.
    """
    wanted = named(run, jobs)
    lines: list[Tidy] = []
    unfinished = []
    for job in run.plan.jobs:
        if job.name in run.plan.short_canaries if wanted is None else job.name not in wanted:
            continue
        path = run.job_folder(job) / "out" / "results.json"
        if not path.exists():
            unfinished.append(job.name)
            continue
        rows, _ = read_results(path.parent)
        lines += [tidy(row, dict(job.axes), path, job.name, job.stage) for row in rows]
    known = {line.row.metric for line in lines}
    if metrics and (absent := sorted(set(metrics) - known)):
        raise RunError(
            f"{run.name}: no result has the metric {', '.join(absent)}; there are: "
            f"{', '.join(sorted(known)) or 'none yet'}"
        )
    return [line for line in lines if not metrics or line.row.metric in metrics], unfinished


def tidy(row: Row, axes: Axes, path: Path, job: str, stage: str) -> Tidy:
    """One row with its job; the ends of an interval become columns of their own."""
    own = {name: value for name, value in row.axes.items() if name not in BOUNDS}
    low, high = (
        float(value) if isinstance(value := row.axes.get(name), int | float) else None
        for name in BOUNDS
    )
    return Tidy(row.model_copy(update={"axes": {**axes, **own}}), str(path), low, high, job, stage)


def write_table(path: Path, lines: Sequence[Tidy], parquet: bool) -> None:
    """Write the rows; RunError where that cannot be."""
    try:
        if parquet:
            write_parquet(path, lines)
        else:
            write_text(path, csv_text(lines))
    except (ConfigError, OSError) as error:
        raise RunError(f"{path}: {error}") from error


def number(value: float | None) -> str:
    """Four digits after the point, whole numbers as they are."""
    return "" if value is None else f"{value:g}" if float(value).is_integer() else f"{value:.4f}"


def render_results(lines: Sequence[Tidy], width: int | None) -> Table:
    """The rows as a table: numbers first and never cut, columns that hold nothing left out, axes
    that are the same in all rows said once.

    ``width`` None: not a terminal, nothing is folded. On a terminal the reasons of missing values
    stand below (``reasons``).
    """
    rows = records(lines)
    axes = sorted({name for line in lines for name in line.row.axes})
    same = {
        name: rows[0][name]
        for name in axes
        if len(rows) > 1 and all(row.get(name) == rows[0].get(name) for row in rows)
    }
    table = Table(
        box=None,
        pad_edge=False,
        header_style="dim",
        padding=(0, 2, 0, 0),
        width=width,
        title_justify="left",
        title_style="dim",
        title=f"all: {', '.join(f'{name}={value}' for name, value in same.items())}"
        if same
        else None,
    )
    shown = (
        "job",
        "metric",
        *NUMBERS,
        *(name for name in axes if name not in same),
        *(["error"] if width is None else []),
    )
    used = [name for name in shown if any(row.get(name) is not None for row in rows)]
    for name in used:
        longest = max(len(str(row.get(name))) for row in rows)
        whole = (
            width is None
            or name in NUMBERS
            or (name in ("job", "metric") and longest <= width // 3)
        )
        table.add_column(
            name, justify="right" if name in NUMBERS else "left", overflow="fold", no_wrap=whole
        )
    for row in rows:
        table.add_row(
            *(
                ""
                if row[name] is None
                else number(row[name])
                if name in NUMBERS and name != "n"
                else str(row[name])
                for name in used
            )
        )
    return table


def reasons(lines: Sequence[Tidy]) -> list[str]:
    """Why values are missing: a line for each reason."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.row.value is None:
            found.setdefault(line.row.error or "unknown", []).append(
                f"{line.row.metric} of {line.job}"
            )
    return [
        f"no value: {whose[0]}{f' and {len(whose) - 1} more' if whose[1:] else ''}: {reason}"
        for reason, whose in found.items()
    ]
