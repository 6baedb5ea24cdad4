"""What an evolution follows: the trainings of a run, and folders.

In: what a person asked for. Out: the ``Training``s whose checkpoints are scored. Called by
evolve.py; ``source_of`` also by the command, before it asks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.spec import Job
from orchestrator.description.profile import Profile
from orchestrator.errors import RunError
from orchestrator.runs.layout import RESULTS
from orchestrator.runs.lookup import named, open_run
from orchestrator.runs.run import Run
from orchestrator.scores.checkpoints import Training
from orchestrator.scores.evolution import read_evolution


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a person asked for."""

    source: Run | None
    folders: tuple[Path, ...] = ()
    checkpoints: str = "all"
    per_job: int | None = None
    jobs: tuple[str, ...] = ()
    """Only these trainings of the run."""
    base: Path | None = None
    """Configuration and tokenizer for folders that hold weights alone."""
    config_file: Path | None = None
    overrides: tuple[str, ...] = ()
    profile: Profile | None = None


def source_of(run: Run) -> Run:
    """The run whose trainings a run follows: itself, unless it is an evolution."""
    evolution = read_evolution(run.folder)
    if evolution is None:
        return run
    if evolution.source is None:
        raise RunError(
            f"{run.name} follows folders, not a run; name them again: orch evolve "
            f"--folder {next(iter(evolution.folders), 'FOLDER')}"
        )
    return open_run(Path(evolution.source))


def evaluations(run: Run) -> list[Job]:
    """The jobs of a run that score checkpoints."""
    return [
        job
        for job in run.plan.jobs
        if job.engine == "evaluation" and job.name not in run.plan.short_canaries
    ]


def own_evaluations(run: Run) -> list[Job]:
    """The jobs of the first stage whose command scores checkpoints: it is given some, and nobody is
    given those that it may leave."""
    taken = {source_folder(job, key) for job in run.plan.jobs for key in ("models", "model")}
    given = [
        job
        for job in run.plan.jobs
        if job.command is not None
        and source_folder(job) is not None
        and job.name not in run.plan.short_canaries
    ]
    # Of a stage whose checkpoints others are given every job trains.
    train = {job.stage for job in given if run.out_folder(job).resolve() in taken}
    scoring = [job for job in given if job.stage not in train]
    return [job for job in scoring if job.stage == scoring[0].stage]


def source_folder(job: Job, key: str = "models") -> Path | None:
    """The output folder of the job whose checkpoints a job is given; None: of no job."""
    models = job.config.get(key)
    if not isinstance(models, dict) or not isinstance(models.get("folder"), str):
        return None
    # Behind a link where it follows the best of several.
    return Path(models["folder"]).resolve()


def trainings(request: Request) -> list[Training]:
    """What makes checkpoints: trainings of the run, then the folders, each with axes of its own.
    RunError if there is none."""
    found: list[Training] = []
    if request.source is not None:
        found += of_run(request.source, request.jobs)
    for folder in request.folders:
        if not folder.is_dir():
            raise RunError(f"--folder {folder}: no such folder")
        # Another program does not say whether it goes on, so what is there counts as all of it.
        found.append(Training(str(folder), {"folder": folder.name}, folder, {}, over=True))
    # Curves and jobs are told apart by axes. Where two trainings have the same ones, such as of two
    # stages, the training's name is added.
    points = [tuple(sorted(one.axes.items())) for one in found]
    counts = Counter(points)
    distinct = []
    for one, point in zip(found, points, strict=True):
        if counts[point] > 1:
            one = replace(one, axes={"training": one.name, **one.axes})
        distinct.append(one)
    return distinct


def of_run(run: Run, names: tuple[str, ...]) -> list[Training]:
    """The named trainings of a run; without a name those that its own evaluations follow, and where
    it has none, those that have left checkpoints."""
    wanted = named(run, names)
    followed = followed_folders(run)
    found = []
    for job in run.plan.jobs:
        out = run.out_folder(job)
        if wanted is not None:
            is_followed = job.name in wanted
        elif job.name in run.plan.short_canaries:
            is_followed = False
        elif followed:
            is_followed = out.resolve() in followed
        else:
            is_followed = (out / "checkpoints").is_dir()
        if is_followed:
            over = (out / RESULTS).exists()
            found.append(Training(job.name, dict(job.axes), out, job.config, over))
    if not found:
        raise RunError(
            f"{run.name}: no job leaves checkpoints yet; name trainings with --job, "
            "or call again later"
        )
    return found


def followed_folders(run: Run) -> set[Path]:
    """Output folders of the trainings whose checkpoints the run's own evaluations choose. An
    evaluation of one named checkpoint chooses none."""
    folders = set()
    for job in evaluations(run) or own_evaluations(run):
        folder = source_folder(job)
        if folder is not None and job.config["models"].get("checkpoint") is None:
            folders.add(folder)
    return folders
