"""What an evolution knows (``evolution.json``), which checkpoints it takes, and the jobs that
follow from it. Pure, but for the file.

An evolution scores the checkpoints of trainings while they run and after. It is a run like any
other, whose plan grows: every look adds the checkpoints that are new. A checkpoint is its content:
the same weights are scored once, whoever made them, however often one looks.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from engines.contract.checkpoints import check_selector
from engines.contract.config import ConfigError
from engines.contract.metrics import METRICS
from jobs.spec import Job, Resources
from jobs.stages import Point, folder_names, identity, job_name
from orchestrator.errors import RunError
from orchestrator.node.system import write_json
from orchestrator.planning.plan import RUN
from orchestrator.runs.run import EVOLUTION

REPORT = "analysis.evolution"
"""The engine that writes the report."""
START = "start"
"""Name of the model that a training began with."""


class Known(BaseModel):
    """A checkpoint that was seen once; it may be gone since."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    training: str
    """Name of the training job, or the folder it was found below."""
    axes: Point
    checkpoint: str
    step: int
    epoch: int
    fingerprint: str
    model: str
    """The folder with the weights."""
    stamp: str
    """Sizes and times of its weight files: while they stay, so does the fingerprint."""
    metrics: dict[str, float] = {}
    rank_by: str | None = None


class Part(BaseModel):
    """One evaluation job of the evolution."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    training: str
    axes: Point
    folder: str
    """Below the run folder."""
    checkpoints: dict[str, str]
    """Name -> fingerprint."""


class Scored(BaseModel):
    """Where the scores of some weights lie, or will lie."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str
    """Output folder of the evaluation; one of this evolution's begins with ``{run}``."""
    checkpoint: str
    job: str | None
    """The evaluation job of this evolution; None for a finished job of the training's own run."""


class Report(BaseModel):
    """One report job; a later one shows more checkpoints."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int
    """How many of the taken checkpoints it shows."""
    config: dict[str, Any]
    after: tuple[str, ...]


class Evolution(BaseModel):
    """Everything that an evolution has to remember."""

    model_config = ConfigDict(extra="forbid")

    source: str | None
    """Folder of the run whose trainings are followed."""
    folders: list[str]
    """Other folders whose checkpoints are followed."""
    known: list[Known] = []
    parts: list[Part] = []
    scored: dict[str, Scored] = {}
    """By fingerprint."""
    taken: list[tuple[str, str]] = []
    """(training, checkpoint) that the report shows."""
    pruned: list[str] = []
    """In words: checkpoints that were deleted before they were scored."""
    reports: list[Report] = []

    def of(self, training: str) -> list[Known]:
        """The checkpoints of one training, lowest step first."""
        return sorted(
            (one for one in self.known if one.training == training),
            key=lambda one: (one.step, one.checkpoint),
        )

    def forget(self, part: Part, checkpoint: str) -> None:
        """Take a checkpoint out again that was deleted before its weights could be linked."""
        print_ = part.checkpoints.pop(checkpoint)
        del self.scored[print_]
        lost = {(one.training, one.checkpoint) for one in self.known if one.fingerprint == print_}
        self.taken = [key for key in self.taken if key not in lost]


def read(folder: Path) -> Evolution | None:
    """The evolution in a run folder; None if the run is none."""
    path = folder / EVOLUTION
    return Evolution.model_validate(json.loads(path.read_text())) if path.is_file() else None


def write(folder: Path, evolution: Evolution) -> None:
    """Write ``evolution.json`` whole. Only with the run's lock held."""
    write_json(folder / EVOLUTION, evolution.model_dump(mode="json"))


def selector_of(text: str) -> str | list[int]:
    """``all``, ``best``, ``last``, ``every:N``, or epochs (steps, of foreign checkpoints):
    ``5,10``. RunError for anything else."""
    if re.fullmatch(r"\d+(,\d+)*", text):
        return [int(word) for word in text.split(",")]
    try:
        check_selector(text)
    except ConfigError as error:
        raise RunError(
            f"--checkpoints {text}: must be all, best, last, every:N, or epochs such as 5,10"
        ) from error
    return text


def choose(known: Sequence[Known], selector: str | list[int], over: bool) -> list[Known]:
    """Those of one training's checkpoints that ``selector`` names; the start is a point of every
    curve but of ``last`` and ``best``.

    ``every:N`` counts from the first that was ever seen, so that a later look adds and never
    shifts; of a training that is ``over`` the last is always among them.
    """
    start = [one for one in known if one.checkpoint == START]
    made = [one for one in known if one.checkpoint != START]
    if selector == "all":
        return [*start, *made]
    if isinstance(selector, list):
        return [*start, *(one for one in made if one.epoch in selector)]
    if selector == "last":
        return made[-1:]
    if selector == "best":
        return best(made)
    step = int(selector.removeprefix("every:"))
    return [
        *start,
        *(
            one
            for place, one in enumerate(made, 1)
            if place % step == 0 or (over and place == len(made))
        ),
    ]


def best(made: Sequence[Known]) -> list[Known]:
    """The one whose own metric is best, of equals the earliest. RunError if none carries one."""
    ranked = [one for one in made if one.rank_by in one.metrics]
    if made and not ranked:
        raise RunError(
            f"{made[0].training}: no checkpoint carries the metric that 'best' ranks by; "
            "name last, all or epochs"
        )
    sign = -1.0 if ranked and METRICS[str(ranked[0].rank_by)].higher_is_better is False else 1.0
    return sorted(ranked, key=lambda one: (-sign * one.metrics[str(one.rank_by)], one.step))[:1]


def assign(
    evolution: Evolution, training: str, axes: Point, wanted: Sequence[Known], per_job: int | None
) -> list[Part]:
    """Put those of ``wanted`` that nobody scores yet into new jobs of at most ``per_job``; None:
    one job."""
    new: dict[str, Known] = {
        one.fingerprint: one for one in reversed(wanted) if one.fingerprint not in evolution.scored
    }
    left = sorted(new.values(), key=lambda one: (one.step, one.checkpoint))
    size = per_job or max(1, len(left))
    made = []
    for k in range(math.ceil(len(left) / size)):
        chunk = left[k * size : (k + 1) * size]
        taken = {part.folder for part in evolution.parts}
        point = {**axes, "part": 1 + sum(part.training == training for part in evolution.parts)}
        name = job_name("evaluate", point)
        folder = f"jobs/{folder_names([name])[name]}"
        folder = folder if folder not in taken else f"{folder}-{len(taken)}"
        part = Part(
            name=name,
            training=training,
            axes=point,
            folder=folder,
            checkpoints={one.checkpoint: one.fingerprint for one in chunk},
        )
        evolution.parts.append(part)
        made.append(part)
        for one in chunk:
            evolution.scored[one.fingerprint] = Scored(
                folder=f"{RUN}/{folder}/out", checkpoint=one.checkpoint, job=name
            )
    evolution.taken += [
        key for one in wanted if (key := (training, one.checkpoint)) not in evolution.taken
    ]
    return made


def evaluate_job(part: Part, config: dict[str, Any], resources: Resources) -> Job:
    """The job that scores a part's checkpoints; its identity holds their content, not where they
    lie."""
    whole = {**config, "models": {"folder": f"{RUN}/{part.folder}/models", "checkpoints": "all"}}
    decides = {
        **{key: value for key, value in config.items() if key != "reuse"},
        "models": sorted(part.checkpoints.values()),
    }
    return Job(
        name=part.name,
        stage="evaluate",
        axes=part.axes,
        engine="evaluation",
        command=None,
        config=whole,
        resources=resources,
        folder=part.folder,
        identity=identity("evaluation", None, decides, [], {}),
    )


def points(evolution: Evolution) -> list[dict[str, Any]]:
    """The taken checkpoints, each with the place of its scores."""
    known = {(one.training, one.checkpoint): one for one in evolution.known}
    found = []
    for training, checkpoint in evolution.taken:
        one = known[training, checkpoint]
        scored = evolution.scored[one.fingerprint]
        found.append(
            {
                "training": training,
                "axes": one.axes,
                "checkpoint": checkpoint,
                "step": one.step,
                "epoch": one.epoch,
                "folder": scored.folder,
                "evaluated_as": scored.checkpoint,
            }
        )
    return found


def new_report(
    evolution: Evolution, trainings: list[dict[str, Any]], config: dict[str, Any]
) -> Report | None:
    """A report on all taken checkpoints, if there is none yet; it follows the evaluations that it
    needs."""
    if (
        any(report.count == len(evolution.taken) for report in evolution.reports)
        or not evolution.taken
    ):
        return None
    known = {(one.training, one.checkpoint): one.fingerprint for one in evolution.known}
    needed = {evolution.scored[known[key]].job for key in evolution.taken}
    whole = {
        **config,
        "points": points(evolution),
        "trainings": trainings,
        "pruned": evolution.pruned,
    }
    report = Report(
        count=len(evolution.taken),
        config=whole,
        after=tuple(part.name for part in evolution.parts if part.name in needed),
    )
    evolution.reports.append(report)
    return report


def jobs_of(
    evolution: Evolution, config: dict[str, Any], evaluate: Resources, report: Resources
) -> list[Job]:
    """Every job of the evolution as it is now."""
    made = {part.name: evaluate_job(part, config, evaluate) for part in evolution.parts}
    for one in evolution.reports:
        point: Point = {"checkpoints": one.count}
        parents = [made[name].identity for name in one.after]
        name = job_name("report", point)
        made[name] = Job(
            name=name,
            stage="report",
            axes=point,
            engine=REPORT,
            command=None,
            config=one.config,
            resources=report,
            after=one.after,
            folder=f"jobs/report.checkpoints-{one.count}",
            identity=identity(REPORT, None, one.config, parents, {}),
        )
    return list(made.values())
