"""Make a plan of an experiment file.

What goes in: the file, the name of a preset and ``--set`` arguments. What comes out: a ``Plan``, or
a DescriptionError with every mistake. Called by the commands that plan, check, launch or rerun,
never by those that look at a run: reading descriptions loads YAML and the engines' checked
configs.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engines.contract.written.mistakes import Mistakes, TooMany
from jobs.spec import Job
from jobs.stages import digest
from orchestrator.description.experiment import Experiment, read_experiment
from orchestrator.errors import DescriptionError
from orchestrator.planning.expand import expand
from orchestrator.planning.plan import Plan


def make_plan(
    path: str | os.PathLike[str], preset: str | None = None, overrides: Sequence[str] = ()
) -> Plan:
    """Read an experiment file and plan it. DescriptionError carries one line per mistake, in the
    order of the file."""
    mistakes = Mistakes()
    experiment, expansion = None, None
    with contextlib.suppress(TooMany):
        experiment = read_experiment(Path(path), preset, overrides, mistakes)
        expansion = expand(experiment.stages, mistakes) if experiment else None
    if mistakes.lines or experiment is None or expansion is None:
        raise DescriptionError(*mistakes.in_file_order())
    return Plan(
        experiment=experiment.name,
        about=experiment.about,
        preset=experiment.preset,
        source=experiment.source,
        jobs=tuple(expansion.jobs),
        gates=expansion.gates,
        choices=expansion.choices,
        searches=expansion.searches,
        replaced=expansion.replaced,
        chains=expansion.chains,
        overrides=tuple(overrides),
        snapshot=experiment.snapshot,
        notify=experiment.notify,
        retry=experiment.retry,
        budget=experiment.budget,
        track=experiment.track,
        identity=identity_of(experiment, expansion.jobs),
    )


def identity_of(experiment: Experiment, jobs: Sequence[Job]) -> str:
    """What makes a launch continue a run: the plan's jobs as they were before any was replaced.

    Resources and gates are not in it, so more time or another threshold continues the same run, as
    does another seed in the place of one.
    """
    stages = [replace(stage, replacements=()) for stage in experiment.stages]
    if any(stage.replacements for stage in experiment.stages):
        # With others in their place the plan had no mistake.
        with contextlib.suppress(TooMany):
            jobs = expand(stages, Mistakes()).jobs
    # Sorted: moving a stage in the file must not make another run.
    return digest([experiment.name, sorted([job.name, job.identity] for job in jobs)])
