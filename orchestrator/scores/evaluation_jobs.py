"""The jobs of an evolution: which evaluation scores which checkpoints, and what the report shows.

In: the evolution, the checkpoints that are wanted, and how they are scored. Out: new parts and
reports in the evolution, and the jobs that follow from all of them. Pure. Called by evolve.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jobs.spec import Job, Resources
from jobs.stages import Point, folder_names, identity, job_name
from orchestrator.planning.plan import RUN
from orchestrator.runs.layout import OUT
from orchestrator.scores.evolution import (
    EvaluationPart,
    Evolution,
    ReportJob,
    ScoreLocation,
    SeenCheckpoint,
    score_key,
)

REPORT = "analysis.evolution"
"""The engine that writes the report."""
MEASURED = "analysis.measured"
"""The one that does where commands score: they leave rows, and no samples."""


def assign(
    evolution: Evolution,
    training: str,
    axes: Point,
    wanted: Sequence[SeenCheckpoint],
    per_job: int | None,
    by: str = "",
) -> list[EvaluationPart]:
    """Take the wanted checkpoints of a training into the report, and put those that nobody scores
    yet into new jobs of at most ``per_job``; None: one job.

    Args:
        by: the job of the followed run whose command scores them.
    """
    unscored: dict[str, SeenCheckpoint] = {}
    # Reversed, because the last one stays: of the same weights the earliest checkpoint is scored.
    for one in reversed(wanted):
        if score_key(one.fingerprint, by) not in evolution.scored:
            unscored[one.fingerprint] = one
    left = sorted(unscored.values(), key=lambda one: (one.step, one.checkpoint))
    # At least 1, also of nothing: range() refuses steps of 0.
    size = per_job or max(1, len(left))
    parts = []
    for first in range(0, len(left), size):
        parts.append(add_part(evolution, training, axes, left[first : first + size], by))
    for one in wanted:
        key = (training, one.checkpoint)
        if key not in evolution.taken:
            evolution.taken.append(key)
    return parts


def add_part(
    evolution: Evolution,
    training: str,
    axes: Point,
    checkpoints: Sequence[SeenCheckpoint],
    by: str = "",
) -> EvaluationPart:
    """One new evaluation job for these checkpoints."""
    number = 1 + sum(part.training == training for part in evolution.parts)
    point = {**axes, "part": number}
    if by:
        point = point_of_one(evolution, axes, checkpoints[0])
    name = job_name("evaluate", point)
    folders = {part.folder for part in evolution.parts}
    folder = f"jobs/{folder_names([name])[name]}"
    # Two trainings with the same axes.
    if folder in folders:
        folder = f"{folder}-{len(folders)}"
    part = EvaluationPart(
        name=name,
        training=training,
        axes=point,
        folder=folder,
        checkpoints={one.checkpoint: one.fingerprint for one in checkpoints},
        by=by,
    )
    evolution.parts.append(part)
    for one in checkpoints:
        # "{run}" is replaced by the run folder when the place is used, so the folder may be moved.
        evolution.scored[score_key(one.fingerprint, by)] = ScoreLocation(
            folder=f"{RUN}/{folder}/{OUT}",
            checkpoint=one.checkpoint,
            job=name,
            axes=axes if by else None,
        )
    return part


def point_of_one(evolution: Evolution, axes: Point, one: SeenCheckpoint) -> Point:
    """What tells the job apart in which a command scores one checkpoint: its step, which curves go
    by, and its name where that is not enough."""
    names = {part.name for part in evolution.parts}
    by_step: Point = {**axes, "step": one.step}
    if "step" not in axes and job_name("evaluate", by_step) not in names:
        return by_step
    return {**axes, "checkpoint": one.checkpoint}


def points(evolution: Evolution) -> list[dict[str, Any]]:
    """The taken checkpoints, each with the place of its scores, as the report's config has them."""
    return [
        {
            "training": one.training,
            "axes": one.axes if location.axes is None else location.axes,
            "checkpoint": one.checkpoint,
            "step": one.step,
            "epoch": one.epoch,
            "folder": location.folder,
            "evaluated_as": location.checkpoint,
        }
        for one in evolution.shown()
        for location in locations(evolution, one)
    ]


def locations(evolution: Evolution, one: SeenCheckpoint) -> list[ScoreLocation]:
    """Where the scores of a taken checkpoint lie: several where several commands score it."""
    scorers = evolution.scorers.get(one.training, [""])
    keys = [score_key(one.fingerprint, by) for by in scorers]
    return [evolution.scored[key] for key in keys if key in evolution.scored]


def new_report(
    evolution: Evolution, trainings: list[dict[str, Any]], config: dict[str, Any]
) -> ReportJob | None:
    """A report on all taken checkpoints, if there is none yet; it follows the evaluations that it
    needs."""
    count = len(evolution.taken)
    # Checkpoints are added at the end: as many as an earlier report shows means that none is new.
    if count == 0 or any(report.count == count for report in evolution.reports):
        return None
    # None is among them where the followed run scored a checkpoint itself; nothing waits for that.
    needed = {location.job for one in evolution.shown() for location in locations(evolution, one)}
    report = ReportJob(
        count=count,
        config={
            **config,
            "points": points(evolution),
            "trainings": trainings,
            "pruned": evolution.pruned,
        },
        after=tuple(part.name for part in evolution.parts if part.name in needed),
    )
    evolution.reports.append(report)
    return report


def jobs_of(
    evolution: Evolution,
    config: dict[str, Any],
    evaluate: Resources,
    report: Resources,
    own: Mapping[str, Job],
) -> list[Job]:
    """Every job of the evolution as it is now.

    Args:
        config: of the evaluations, but for the models.
        evaluate: what an evaluation asks for.
        report: what a report asks for.
        own: the jobs of the followed run whose commands score, by name.
    """
    jobs = {
        part.name: command_job(part, own[part.by])
        if part.by
        else evaluate_job(part, config, evaluate)
        for part in evolution.parts
    }
    for one in evolution.reports:
        parents = [jobs[name].identity for name in one.after]
        job = report_job(one, parents, report, MEASURED if own else REPORT)
        jobs[job.name] = job
    return list(jobs.values())


def evaluate_job(part: EvaluationPart, config: dict[str, Any], resources: Resources) -> Job:
    """The job that scores a part's checkpoints; its identity holds their content, not where they
    lie."""
    models = {"folder": f"{RUN}/{part.folder}/models", "checkpoints": "all"}
    # Samples that are reused are the same as new ones.
    decides: dict[str, Any] = {key: value for key, value in config.items() if key != "reuse"}
    decides["models"] = sorted(part.checkpoints.values())
    return Job(
        name=part.name,
        stage="evaluate",
        axes=part.axes,
        engine="evaluation",
        command=None,
        config={**config, "models": models},
        resources=resources,
        folder=part.folder,
        identity=identity("evaluation", None, decides, [], {}),
    )


def command_job(part: EvaluationPart, own: Job) -> Job:
    """The job in which the run's own command scores a checkpoint, as its evaluation has it.

    Args:
        own: the run's evaluation of this training.
    """
    models = {"folder": f"{RUN}/{part.folder}/models", "checkpoints": "all"}
    decides = {"models": sorted(part.checkpoints.values())}
    return replace(
        own,
        name=part.name,
        stage="evaluate",
        axes=part.axes,
        config={**own.config, "models": models},
        after=(),
        requires=(),
        canary=None,
        pack=1,
        at_once=None,
        folder=part.folder,
        identity=identity(None, own.command, decides, [own.identity], {}),
    )


def report_job(report: ReportJob, parents: list[str], resources: Resources, engine: str) -> Job:
    """The job that writes a report; ``parents``: identities of the evaluations it follows."""
    point: Point = {"checkpoints": report.count}
    return Job(
        name=job_name("report", point),
        stage="report",
        axes=point,
        engine=engine,
        command=None,
        config=report.config,
        resources=resources,
        after=report.after,
        folder=f"jobs/report.checkpoints-{report.count}",
        identity=identity(engine, None, report.config, parents, {}),
    )
