"""`orch results`: the results of a run as one table."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.api.json_documents import results_document, reused_jobs
from orchestrator.cli.arguments import AsJson, JobsOfRun, OnlyJobs, Wide
from orchestrator.cli.json_output import print_json
from orchestrator.runs.lookup import find_target
from orchestrator.runs.record import JobState
from orchestrator.views.busy.line import busy

if TYPE_CHECKING:
    from engines.contract.tidy import Tidy
    from orchestrator.runs.run import Run

Csv = Annotated[Path | None, typer.Option("--csv", help="Write the rows to a CSV file.")]
Parquet = Annotated[
    Path | None, typer.Option("--parquet", help="Write the rows to a parquet file (needs pyarrow).")
]
SHOWN = 4
"""Jobs that a line names."""
Every = Annotated[bool, typer.Option("--all", help="Each value, however many there are.")]


def results(
    run: JobsOfRun = None,
    job: OnlyJobs = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Only this metric. May be repeated.")
    ] = None,
    best: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC", help="The settings by this metric, the best one first, over seeds."
        ),
    ] = None,
    csv: Csv = None,
    parquet: Parquet = None,
    every: Every = False,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Print or export every result of a run. Rows are tidy: job, axes, metric, value, n, spread; a
    missing value has its reason."""
    # Late, because the shell imports this module for every TAB after the command's name.
    from orchestrator.scores.results import gather, write_table

    found, jobs = find_target(run, job)
    tell_origin(found)
    if best is not None:
        print_best(found, best, jobs, as_json)
        return
    with busy(f"reading {found.name}", not as_json):
        lines, unfinished, problems = gather(found, jobs, metric)
    for path in filter(None, (csv, parquet)):
        write_table(path, lines, parquet=path == parquet)
        print(f"{len(lines)} rows: {path}", file=sys.stderr)
    if as_json:
        print_json("results", results_document(found, lines, unfinished, problems))
    elif not (csv or parquet):
        # Who asks for a metric or a job wants to see each value.
        print_rows(found.name, lines, every or bool(metric or job), wide)
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    tell_jobs(found, unfinished)


def tell_origin(run: Run) -> None:
    """Where a copy was brought from."""
    if run.origin is not None:
        print(f"{run.name}: {run.origin}", file=sys.stderr)


def tell_jobs(run: Run, unfinished: list[str]) -> None:
    """From which runs results were taken, and which jobs have none yet."""
    counts = Counter(source.rpartition(":")[0] for source in reused_jobs(run).values())
    for source, count in counts.items():
        print(f"{run.name}: the results of {count} jobs were taken from {source}", file=sys.stderr)
    skipped = {one.name for one in run.load() if one.state is JobState.SKIPPED}
    tell_unfinished(run.name, "no results yet of", [n for n in unfinished if n not in skipped])
    tell_unfinished(run.name, "skipped by a gate:", [n for n in unfinished if n in skipped])


def tell_unfinished(run: str, words: str, jobs: list[str]) -> None:
    """Which jobs have no results."""
    if jobs:
        more = f" and {len(jobs) - SHOWN} more" if len(jobs) > SHOWN else ""
        named = ", ".join(jobs[:SHOWN])
        print(
            f"{run}: {words} {len(jobs)} job{'s' * (len(jobs) > 1)}: {named}{more}", file=sys.stderr
        )


def print_best(run: Run, metric: str, stages: list[str] | None, as_json: bool) -> None:
    """The settings that were tried, by a metric."""
    from rich.console import Console

    from orchestrator.scores.best import best_settings, records_of
    from orchestrator.views.results import best_lines
    from orchestrator.views.tables.drawing import screen_of, show

    rankings = best_settings(run, metric, stages)
    if as_json:
        print_json("settings", {"run": run.name, "settings": records_of(rankings, metric)})
        return
    console = Console()
    for stage, settings in rankings.items():
        show(console, best_lines(stage, metric, settings, screen_of(console)))


def print_rows(run: str, lines: list[Tidy], every: bool, wide: bool) -> None:
    """The rows for a person."""
    from rich.console import Console

    from orchestrator.views.results import results_lines
    from orchestrator.views.tables.drawing import screen_of, show

    console = Console()
    show(console, results_lines(run, lines, screen_of(console, wide), every))
