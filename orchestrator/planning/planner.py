"""Make a plan of an experiment file.

What goes in: the file, the name of a preset and ``--set`` arguments. What comes out: a ``Plan``, or
a DescriptionError with every mistake. Called by the commands that plan, check, launch or rerun,
never by those that look at a run: reading descriptions loads YAML and the engines' checked
configs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from jobs.stages import digest
from orchestrator.description.experiment import read_experiment
from orchestrator.description.yaml_lines import Mistakes
from orchestrator.errors import DescriptionError
from orchestrator.planning.expand import expand
from orchestrator.planning.plan import Plan


def make_plan(
    path: str | os.PathLike[str], preset: str | None = None, overrides: Sequence[str] = ()
) -> Plan:
    """Read an experiment file and plan it. DescriptionError carries one line per mistake, in the
    order of the file."""
    mistakes = Mistakes()
    experiment = read_experiment(Path(path), preset, overrides, mistakes)
    jobs, gates = expand(experiment.stages, mistakes) if experiment else ([], {})
    if mistakes.lines or experiment is None:
        raise DescriptionError(*mistakes.in_file_order())
    return Plan(
        experiment=experiment.name,
        about=experiment.about,
        preset=experiment.preset,
        source=experiment.source,
        jobs=tuple(jobs),
        gates=gates,
        overrides=tuple(overrides),
        snapshot=experiment.snapshot,
        notify=experiment.notify,
        # Sorted: moving a stage in the file must not make another run. Resources and gates are not
        # in it, so more time or another threshold continues the same run.
        identity=digest([experiment.name, sorted([job.name, job.identity] for job in jobs)]),
    )
