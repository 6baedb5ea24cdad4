"""The commands on scores: `orch evolve`, `orch compare`, `orch results`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.arguments import AsJson, ClusterName, RunName

UNFOLDED = 100_000
"""Characters of a line in a pipe or a file, where nothing is folded."""


def evolve(
        run: RunName = None,
        checkpoints: Annotated[str, typer.Option(help="all, best, last, every:N, or epochs: 5,10. The model that a training began with "
                                                 "is a point of every curve.")] = "all",
        folder: Annotated[list[Path] | None, typer.Option(help="Follow the checkpoints below a folder: an output folder, Hugging Face "
                                                          "folders, verl's global_step_N. May be repeated.")] = None,
        job: Annotated[list[str] | None, typer.Option("--job", help="Only this training job or stage of the run. May be repeated.")] = None,
        per_job: Annotated[int | None, typer.Option(min=1, help="Checkpoints per evaluation job; one job per training without it.")] = None,
        base: Annotated[Path | None, typer.Option(help="Folder with config.json and tokenizer, for folders of weights alone.")] = None,
        config: Annotated[Path | None, typer.Option(help="YAML file with the config of engine evaluation; without it the run's own.")
        ] = None,
        overrides: Annotated[list[str] | None, typer.Option("--set", help="Override a key: evaluate.config.limit=50, "
                                                            "evaluate.resources.gpus=1, report.config.axis=arm. May be repeated.")] = None,
        cluster: ClusterName = None,
        watch: Annotated[bool, typer.Option("--watch", help="Live until the evolution is over.")] = False) -> None:
    """Score every checkpoint of a run's trainings once, also while they still run, and report how they evolved.

    Called again it adds what is new. The evolution is a run of its own: status, logs, retry, cancel and report work on it.
    """
    from orchestrator.evolve import Request, source_of
    from orchestrator.evolve import evolve as begin
    from orchestrator.profile import load_profile
    from orchestrator.run import find_run

    source = source_of(find_run(run)) if run is not None or not folder else None
    request = Request(source=source, folders=tuple(path.resolve() for path in folder or ()), checkpoints=checkpoints, per_job=per_job,
                      jobs=tuple(job or ()), base=base.absolute() if base else None, config_file=config.absolute() if config else None,
                      overrides=tuple(overrides or ()), profile=load_profile(cluster) if cluster else None)
    made, records = begin(request, print)
    if not records:
        print(f"{made.name}: there is no checkpoint yet; call again once a training has made one")
        return
    submitted = sum(record.source == "orch" and record.state == "PENDING" for record in records)
    done = sum(record.state == "COMPLETED" for record in records)
    print(f"{made.name}: {submitted} jobs submitted, {done} of {len(records)} done before; look at it: orch status {made.name}")
    if watch:
        from orchestrator.watch import watch_run

        raise typer.Exit(watch_run(made))


def compare(
        baseline: Annotated[str, typer.Argument(help="RUN[:JOB][@CHECKPOINT], :JOB of the newest run, or an evaluation's output folder. "
                                                "CHECKPOINT: last (without it), best, a name or a step.")],
        treatment: Annotated[str, typer.Argument(help="The other side, as the first; differences are this one minus the first.")],
        specialist: Annotated[list[str] | None, typer.Option(help="An evaluation of a model trained for less; the best of them on each "
                                                             "domain is what the treatment is expected to reach. May be repeated.")] = None,
        metric: Annotated[str, typer.Option(help="accuracy, or score with its partial credit.")] = "accuracy",
        out: Annotated[Path | None, typer.Option(help="Folder for the report; one in comparisons/ beside the runs without it.")] = None,
        fail_if: Annotated[list[str] | None, typer.Option("--fail-if", help="A gate: exit code 3 if this holds, as in 'domain=math "
                                                          "difference<-0.02' or 'accuracy<0.5'. May be repeated.")] = None) -> None:
    """Compare two evaluations problem by problem: differences, tests, flipped examples. Exit code 0, 3 where a gate fails, 2 bad input."""
    from orchestrator.compare import compare as report_on
    from orchestrator.compare import condition, holds

    asked = [condition(text) for text in fail_if or []]
    folder = report_on(baseline, treatment, specialist or [], metric, out.resolve() if out else None)
    print((folder / "report.txt").read_text())
    print(f"HTML report with its figures: {folder / 'report.html'}")
    failed = [told for one in asked if (told := holds(one, folder))]
    for told in failed:
        print(f"gate: {told}", file=sys.stderr)
    if failed:
        raise typer.Exit(3)


def results(run: RunName = None,
            job: Annotated[list[str] | None, typer.Option("--job", help="Only this job or stage. May be repeated.")] = None,
            metric: Annotated[list[str] | None, typer.Option(help="Only this metric. May be repeated.")] = None,
            csv: Annotated[Path | None, typer.Option("--csv", help="Write the rows to a CSV file.")] = None,
            parquet: Annotated[Path | None, typer.Option("--parquet", help="Write the rows to a parquet file (needs pyarrow).")] = None,
            as_json: AsJson = False) -> None:
    """Print or export every result of a run as tidy rows: job, axes, metric, value, n, spread; a missing one with its reason."""
    from orchestrator.results import gather, reasons, render_results, write_table
    from orchestrator.run import find_run

    found = find_run(run)
    lines, unfinished = gather(found, job, metric)
    for path in filter(None, (csv, parquet)):
        write_table(path, lines, parquet=path == parquet)
        print(f"{len(lines)} rows: {path}", file=sys.stderr)
    if as_json:
        from engines.tidy import records

        print(json.dumps(records(lines), indent=1))
    elif not (csv or parquet):
        from rich.console import Console

        console = Console()
        if console.is_terminal:
            console.print(render_results(lines, console.width))
            for line in reasons(lines):
                console.print(line, markup=False, highlight=False)
        else:
            Console(width=UNFOLDED).print(render_results(lines, None))
    if unfinished:
        print(f"{found.name}: no results yet of {len(unfinished)} jobs: {', '.join(unfinished[:8])}", file=sys.stderr)
