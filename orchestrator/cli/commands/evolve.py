"""The commands on scores: `orch evolve`, `orch compare`, `orch results`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.arguments import ClusterName, RunName

UNFOLDED = 100_000
"""Characters of a line in a pipe or a file, where nothing is folded."""


def evolve(
    run: RunName = None,
    checkpoints: Annotated[
        str,
        typer.Option(
            help="all, best, last, every:N, or epochs: 5,10. The model that a training began with "
            "is a point of every curve."
        ),
    ] = "all",
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            help="Follow the checkpoints below a folder: an output folder, Hugging Face "
            "folders, verl's global_step_N. May be repeated."
        ),
    ] = None,
    job: Annotated[
        list[str] | None,
        typer.Option("--job", help="Only this training job or stage of the run. May be repeated."),
    ] = None,
    per_job: Annotated[
        int | None,
        typer.Option(
            min=1, help="Checkpoints per evaluation job; one job per training without it."
        ),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(help="Folder with config.json and tokenizer, for folders of weights alone."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="YAML file with the config of engine evaluation; without it the run's own."
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Override a key: evaluate.config.limit=50, "
            "evaluate.resources.gpus=1, report.config.axis=arm. May be repeated.",
        ),
    ] = None,
    cluster: ClusterName = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Live until the evolution is over.")
    ] = False,
) -> None:
    """Score every checkpoint of a run's trainings once, also while they still run, and report how
    they evolved.

    Called again it adds what is new. The evolution is a run of its own: status, logs, retry, cancel
    and report work on it.
    """
    from orchestrator.description.profile import load_profile
    from orchestrator.runs.lookup import find_run
    from orchestrator.scores.evolve import evolve as begin
    from orchestrator.scores.trainings import Request, source_of

    source = source_of(find_run(run)) if run is not None or not folder else None
    request = Request(
        source=source,
        folders=tuple(path.resolve() for path in folder or ()),
        checkpoints=checkpoints,
        per_job=per_job,
        jobs=tuple(job or ()),
        base=base.absolute() if base else None,
        config_file=config.absolute() if config else None,
        overrides=tuple(overrides or ()),
        profile=load_profile(cluster) if cluster else None,
    )
    made, records = begin(request, print)
    if not records:
        print(f"{made.name}: there is no checkpoint yet; call again once a training has made one")
        return
    submitted = sum(record.source == "orch" and record.state == "PENDING" for record in records)
    done = sum(record.state == "COMPLETED" for record in records)
    print(
        f"{made.name}: {submitted} jobs submitted, {done} of {len(records)} done before; "
        f"look at it: orch status {made.name}"
    )
    if watch:
        from orchestrator.views.watch.follow import watch_run

        raise typer.Exit(watch_run(made))
