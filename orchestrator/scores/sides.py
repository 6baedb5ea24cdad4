"""The two sides of a comparison: which evaluated checkpoints the words ``RUN[:JOB][@CHECKPOINT]``
stand for.

In: the words, the runs and evolutions on disk. Out: a ``Side`` with one checkpoint for each
training seed. Called by compare.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from engines.contract.checkpoints import best as best_of_training
from engines.contract.checkpoints import listed, with_rank
from engines.contract.config import ConfigError
from engines.contract.results import read_results
from jobs.spec import Job
from jobs.stages import Point
from orchestrator.errors import RunError
from orchestrator.node.light.standard import whole
from orchestrator.planning.plan import RUN
from orchestrator.runs.documents.reading import Place, unknown_form
from orchestrator.runs.layout import RESULTS
from orchestrator.runs.lookup import find_run, named
from orchestrator.runs.run import Run
from orchestrator.scores.evaluation_jobs import points
from orchestrator.scores.evolution import START, Evolution, read_evolution
from orchestrator.scores.selection import best
from orchestrator.scores.trainings import evaluations

SHOWN = 12
"""Names of a list in a message."""


class Scored(TypedDict):
    """A checkpoint as an evaluation names it."""

    name: str
    step: int
    epoch: int


class Models(msgspec.Struct):
    """Whose checkpoints an evaluation scored."""

    folder: Place


class Config(TypedDict):
    """What is read of the config of an evaluation; a folder of one model stands there as text."""

    models: Models | str


class Facts(TypedDict):
    """What is read of the facts of an evaluation."""

    checkpoints: list[Scored]


class Evaluated(TypedDict):
    """What is read of the ``results.json`` of an evaluation."""

    config: Config
    facts: Facts


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One evaluated checkpoint."""

    job: str
    axes: Point
    checkpoint: str
    """Its name in the evaluation."""
    name: str
    """Its name in the training."""
    step: int
    epoch: int
    out: Path
    training: tuple[str, Path] | None
    """Job name and output folder of what made it, where that is known."""
    is_best: bool | None
    """Whether the training ranks it first; None where it does not rank."""


@dataclass(frozen=True)
class Side:
    """What A or B stands for: one checkpoint for each training seed."""

    label: str
    chosen: tuple[Candidate, ...]


def resolve(spec: str) -> Side:
    """``RUN[:JOB][@CHECKPOINT]``, ``:JOB`` of the newest run, or an evaluation's output folder.
    RunError lists what it may have meant."""
    place, checkpoint = spec, "last"
    # A folder may have an @ in its name; then it is no checkpoint that follows.
    if "@" in spec and not Path(spec).exists():
        place, _, checkpoint = spec.rpartition("@")
    if (Path(place) / RESULTS).is_file():
        found = of_evaluation(Path(place).name, {}, Path(place).resolve())
    else:
        run_name, _, job = place.partition(":")
        found = of_run(find_run(run_name or None), job)
    if not found:
        raise RunError(f"{spec}: its results name no evaluated checkpoint")
    # All checkpoints of one training are one group, of which one checkpoint is picked.
    by_axes: dict[tuple[Any, ...], list[Candidate]] = {}
    for one in found:
        axes = tuple(sorted(one.axes.items()))
        by_axes.setdefault(axes, []).append(one)
    refuse_several_arms(spec, place, by_axes)
    chosen = [pick(group, checkpoint, spec) for group in by_axes.values()]
    return Side(spec, tuple(chosen))


def refuse_several_arms(
    spec: str, place: str, by_axes: Mapping[tuple[Any, ...], Sequence[Candidate]]
) -> None:
    """RunError where the candidates differ in more than the seed: a side is one arm."""
    arms = set()
    for axes in by_axes:
        arms.add(tuple((axis, value) for axis, value in axes if axis != "seed"))
    if len(arms) <= 1:
        return
    names = sorted({one.job for group in by_axes.values() for one in group})
    run_name = place.partition(":")[0]
    raise RunError(
        f"{spec}: {len(arms)} arms; name one, as in {run_name}:{names[0]}; there are: "
        f"{', '.join(names[:SHOWN])}"
    )


def of_run(run: Run, job: str) -> list[Candidate]:
    """The evaluated checkpoints of a run, of the jobs that ``job`` names. RunError if there is
    none."""
    evolution = read_evolution(run.folder)
    if evolution is not None:
        scored = of_evolution(run, evolution)
        # An evolution's candidates are known by their training; any part of its name will do.
        found = [one for one in scored if job in one.job]
        known = sorted({one.job for one in scored})
    else:
        jobs = [one for one in evaluations(run) if (run.out_folder(one) / RESULTS).exists()]
        found = of_jobs(run, jobs, job)
        known = [one.name for one in jobs]
    if not found:
        asked = f":{job}" if job else ""
        if evolution is None and not evaluations(run):
            raise RunError(
                f"{run.name}{asked}: nothing here was judged by the engine 'evaluation', and the "
                "other side was, or a checkpoint is named; name two of a kind"
            )
        raise RunError(
            f"{run.name}{asked}: no finished evaluation; there are: "
            f"{', '.join(known) or 'none yet'}"
        )
    return found


def of_jobs(run: Run, jobs: Sequence[Job], asked: str) -> list[Candidate]:
    """The checkpoints that these evaluations of a run scored, of those that ``asked`` names; all of
    them where it is empty."""
    wanted = named(run, [asked]) if asked else None
    found = []
    for job in jobs:
        if wanted is None or job.name in wanted:
            found += of_evaluation(job.name, dict(job.axes), run.out_folder(job))
    return found


def of_evaluation(job: str, axes: Point, out: Path) -> list[Candidate]:
    """The checkpoints that a finished evaluation scored."""
    try:
        _, document = read_results(out)
    except ConfigError as error:
        raise RunError(str(error)) from error
    except OSError as error:
        raise RunError(f"{out / RESULTS}: cannot be read ({error.strerror})") from error
    if document["engine"] != "evaluation":
        raise RunError(
            f"{out}: results of engine '{document['engine']}'; `orch compare` needs those "
            "of 'evaluation'"
        )
    try:
        told = msgspec.convert(document, Evaluated)
    except msgspec.ValidationError as error:
        raise RunError(
            f"{out / RESULTS}: {unknown_form(error)}: orch retry --job runs it again"
        ) from error
    models = told["config"]["models"]
    training = first = None
    if isinstance(models, Models):
        folder = Path(models.folder)
        first = ranked_first(folder)
        if folder.is_dir():
            # jobs/train.arm-a/out -> train.arm-a
            training = (folder.parent.name, folder)
    return [
        Candidate(
            job=job,
            axes=axes,
            checkpoint=one["name"],
            name=one["name"],
            step=one["step"],
            epoch=one["epoch"],
            out=out,
            training=training,
            is_best=None if first is None else one["name"] == first,
        )
        for one in told["facts"]["checkpoints"]
    ]


def ranked_first(training: Path) -> str | None:
    """The name of the checkpoint that a training ranks first; None if it ranks none that is still
    there."""
    found, _ = listed(training)
    ranked = with_rank(found)
    return best_of_training(ranked).manifest.name if ranked else None


def of_evolution(run: Run, evolution: Evolution) -> list[Candidate]:
    """The scored checkpoints of an evolution, whoever scored them."""
    source = find_run(evolution.source) if evolution.source else None
    found = []
    for point in points(evolution):
        out = Path(point["folder"].replace(RUN, str(run.folder), 1))
        if not (out / RESULTS).exists():
            continue
        job = point["training"]
        training = None
        # What a training began with owes it nothing.
        if source is not None and job in source.by_name and point["checkpoint"] != START:
            training = (job, source.out_folder(source.by_name[job]))
        ranked = [one for one in evolution.of(job) if one.rank_by in one.metrics]
        is_best = None
        if ranked:
            is_best = point["checkpoint"] == best(ranked)[0].checkpoint
        found.append(
            Candidate(
                job=job,
                axes=point["axes"],
                checkpoint=point["evaluated_as"],
                name=point["checkpoint"],
                step=point["step"],
                epoch=point["epoch"],
                out=out,
                training=training,
                is_best=is_best,
            )
        )
    return found


def pick(group: Sequence[Candidate], wanted: str, spec: str) -> Candidate:
    """The checkpoint ``last``, ``best``, of that name, or of that step. RunError lists the
    evaluated ones."""
    if wanted == "last":
        return max(group, key=lambda one: (one.step, one.name))
    if wanted == "best":
        fitting = [one for one in group if one.is_best]
        if not fitting and all(one.is_best is None for one in group):
            raise RunError(
                f"{spec}: its checkpoints carry no metric to rank by, or are gone; name a step"
            )
    else:
        step = whole(wanted)
        fitting = [one for one in group if one.name == wanted or one.step == step]
    if not fitting:
        in_order = sorted(group, key=lambda one: one.step)
        there = ", ".join(f"{one.name} (step {one.step})" for one in in_order)
        raise RunError(f"{spec}: checkpoint '{wanted}' was not evaluated; there are: {there}")
    return fitting[0]
