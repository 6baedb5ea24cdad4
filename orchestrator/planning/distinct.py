"""No job of a plan does the work of another one under a name of its own.

What goes in: the jobs with their whole configs, and the drafts they were made of. What comes out: a
mistake for each two stages that hold the same work, or for a stage whose jobs are called apart and
are not told apart by what their engine says has to (``EngineConfig.told_apart_by``). Called by
``expand``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engines.contract.config import EngineConfig
from engines.contract.written.mistakes import Mistakes
from jobs.spec import Job
from jobs.stages import PAIR_AXES, Scalar, digest
from orchestrator.description.catalogue import config_class
from orchestrator.description.stage import Stage
from orchestrator.planning.drafts import Drafts

SEED = "seed"
"""The axis that tells repetitions of the same work apart."""


def tell_same_content(jobs: Sequence[Job], drafts: Drafts, mistakes: Mistakes) -> None:
    """The same work twice in a plan is a mistake: the two results could not be told apart. Of each
    two stages one pair of jobs is told."""
    first: dict[str, Job] = {}
    told: set[tuple[str, str]] = set()
    for job in jobs:
        # Names and stages are no part of the identity.
        other = first.setdefault(job.identity, job)
        if other is job or (other.stage, job.stage) in told:
            continue
        # One line for two stages, not one for each of a hundred pairs.
        told.add((other.stage, job.stage))
        stage = drafts.by_name[job.name].stage
        mistakes.add(
            stage.place("matrix"),
            f"stage '{stage.name}': jobs '{other.name}' and '{job.name}' have the same content; "
            "take one out, or let what tells them apart reach the config or the command",
        )


def tell_same_work(jobs: Sequence[Job], drafts: Drafts, mistakes: Mistakes) -> None:
    """Jobs of a stage that are called apart, by pairs or by values with names, differ in what their
    engine says tells such jobs apart. Of each stage the first two that do not are told.

    Where they start may differ all the same: fine-tuned on the same data, from the bases of two
    tasks, they would be taken for trainings on two mixtures. An axis written as a list sets a key
    of the config itself, and may set any.
    """
    by_stage: dict[str, list[Job]] = {}
    for job in jobs:
        by_stage.setdefault(job.stage, []).append(job)
    for stage in drafts.stages.values():
        axes = named_axes(stage)
        own = by_stage.get(stage.name, [])
        # The same content altogether has been told.
        alike = [pair for pair in same_work(own, axes) if pair[0].identity != pair[1].identity]
        if not alike:
            continue
        one, other = alike[0]
        words = " and ".join(told_apart_by(one))
        more = f" (and {len(alike) - 1} more such pairs)" if len(alike) > 1 else ""
        reach = " and ".join(f"{{{axis}}}" for axis in axes)
        mistakes.add(
            stage.place("pairs" if stage.pairs else "matrix"),
            f"stage '{stage.name}': jobs '{one.name}' and '{other.name}' have the same "
            f"{words}{more}; let {reach} reach it, or take one out",
        )


def same_work(jobs: Sequence[Job], axes: Sequence[str]) -> list[tuple[Job, Job]]:
    """Jobs with the first one that does the same under another name."""
    first: dict[str, Job] = {}
    alike = []
    for job in jobs if axes else ():
        words = told_apart_by(job)
        other = first.setdefault(digest(words), job)
        if words and called(other, axes) != called(job, axes):
            alike.append((other, job))
    return alike


def told_apart_by(job: Job) -> dict[str, Any]:
    """What its engine says tells it apart; nothing of a command."""
    if job.engine is None:
        return {}
    kind = config_class(job.engine)
    if kind.told_apart_by is EngineConfig.told_apart_by:
        return {}
    return kind.model_validate(job.config).told_apart_by()


def named_axes(stage: Stage) -> list[str]:
    """The axes of a stage whose values are names: those of its pairs, and those written as a
    mapping; but for the seed."""
    pairs = PAIR_AXES if stage.pairs else ()
    mappings = [axis for axis, entry in stage.matrix.items() if entry.brings_config]
    return [axis for axis in (*pairs, *mappings) if axis != SEED]


def called(job: Job, axes: Sequence[str]) -> list[Scalar]:
    """What a job is called on these axes."""
    return [job.axes[axis] for axis in axes]
