"""`orch evolve`: score the checkpoints of trainings as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.arguments import AsJson, ClusterName, JobsOfRun
from orchestrator.cli.shared import follow, print_run, submitted_and_done
from orchestrator.description.profile_reader import load_profile
from orchestrator.lifecycle.act import Tell
from orchestrator.lifecycle.refresh import quiet
from orchestrator.runs.lookup import find_target
from orchestrator.runs.record import Record
from orchestrator.runs.run import Run
from orchestrator.views.busy.alike import few_told
from orchestrator.views.busy.line import busy, shown_and_told

Checkpoints = Annotated[
    str,
    typer.Option(
        help="all, best, last, every:N, or epochs: 5,10. The model that a training began with "
        "is a point of every curve."
    ),
]
Folders = Annotated[
    list[Path] | None,
    typer.Option(
        help="Follow the checkpoints below a folder: an output folder, Hugging Face "
        "folders, verl's global_step_N. May be repeated."
    ),
]
TrainingJobs = Annotated[
    list[str] | None,
    typer.Option("--job", help="Only this training job or stage of the run. May be repeated."),
]
PerJob = Annotated[
    int | None,
    typer.Option(min=1, help="Checkpoints per evaluation job; one job per training without it."),
]
Base = Annotated[
    Path | None,
    typer.Option(help="Folder with config.json and tokenizer, for folders of weights alone."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(help="YAML file with the config of engine evaluation; without it the run's own."),
]
EvolutionSet = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Override a key: evaluate.config.limit=50, evaluate.resources.gpus=1, "
        "report.config.axis=arm. May be repeated.",
    ),
]
Watch = Annotated[bool, typer.Option("--watch", help="Live until the evolution is over.")]


def evolve(
    run: JobsOfRun = None,
    checkpoints: Checkpoints = "all",
    folder: Folders = None,
    job: TrainingJobs = None,
    per_job: PerJob = None,
    base: Base = None,
    config: ConfigFile = None,
    overrides: EvolutionSet = None,
    cluster: ClusterName = None,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """Score every checkpoint of a run's trainings once. It may be called while they still run; a
    report says how they evolved.

    Called again it adds what is new. The evolution is a run of its own, for all commands.
    """
    import orchestrator.scores.evolve
    from orchestrator.scores.trainings import Request, source_of

    # Folders alone need no run. Without either, the newest run is followed.
    follows_run = run is not None or not folder
    found, jobs = find_target(run, job) if follows_run else (None, job)
    request = Request(
        source=None if found is None else source_of(found),
        folders=tuple(path.resolve() for path in folder or ()),
        checkpoints=checkpoints,
        per_job=per_job,
        jobs=tuple(jobs or ()),
        base=base.absolute() if base else None,
        config_file=config.absolute() if config else None,
        overrides=tuple(overrides or ()),
        profile=load_profile(cluster) if cluster else None,
    )
    with told(as_json) as tell:
        made, records = orchestrator.scores.evolve.evolve(request, tell)
    tell_of(made, records, as_json)
    if watch and records and not as_json:
        raise typer.Exit(follow(made))


@contextmanager
def told(as_json: bool) -> Iterator[Tell]:
    """Takes what is said meanwhile, and prints it at the end, also of what an error has ended: how
    many checkpoints each training has, and everything else."""
    lines: list[str] = []
    tell = quiet if as_json else lines.append
    try:
        with busy("reading checkpoints", not as_json) as show_now, few_told(tell) as few:
            yield shown_and_told(show_now, few)
    finally:
        if lines:
            print_lines(lines)


def print_lines(lines: Sequence[str]) -> None:
    """The lines, on a terminal with a table of the trainings."""
    from orchestrator.views.tables.drawing import output, screen_of, show
    from orchestrator.views.tables.told import followed

    console = output()
    show(console, followed(lines, screen_of(console)))


def tell_of(made: Run, records: Sequence[Record], as_json: bool) -> None:
    """What was submitted, or that there is nothing to score yet."""
    if as_json:
        print_run(made, records)
    elif records:
        print(submitted_and_done(made, records))
    else:
        print(f"{made.name}: there is no checkpoint yet; call again once a training has made one")
