"""Experiment -> Plan: the jobs in an order in which they can run, each with its whole config, identity and folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.spec import Job
from jobs.stages import digest

RUN = "{run}"
"""Stands for the run folder in paths of a plan; it is known at launch."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one launch does."""

    experiment: str
    about: str
    preset: str | None
    source: Path
    jobs: tuple[Job, ...]
    """In an order in which each follows the ones it waits for."""
    identity: str
    """Hash over the names and identities of the jobs: the same plan continues the same run."""

    @property
    def gpu_hours(self) -> float:
        """GPU-hours asked for, if every job used its whole time limit."""
        return sum(job.resources.gpu_hours for job in self.jobs)

    def to_json(self, run_folder: Path | None = None) -> dict[str, Any]:
        """Plain JSON values; with ``run_folder``, paths to other jobs' files are absolute."""
        jobs = [job.to_dict() | {"after": list(job.after)} for job in self.jobs]
        if run_folder is not None:
            jobs = [job | {"config": absolute(job["config"], run_folder)} for job in jobs]
        return {"experiment": self.experiment, "about": self.about, "preset": self.preset, "source": str(self.source),
                "identity": self.identity, "gpu_hours": self.gpu_hours, "jobs": jobs}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Plan:
        """The inverse of ``to_json``, also of one with absolute paths."""
        return cls(experiment=values["experiment"], about=values["about"], preset=values["preset"], source=Path(values["source"]),
                   identity=values["identity"], jobs=tuple(Job.from_dict(job) for job in values["jobs"]))


def absolute(value: Any, run_folder: Path) -> Any:
    """``value`` with ``{run}`` at the start of a path replaced by the run folder."""
    if isinstance(value, dict):
        return {key: absolute(item, run_folder) for key, item in value.items()}
    if isinstance(value, list):
        return [absolute(item, run_folder) for item in value]
    if isinstance(value, str) and value.startswith(f"{RUN}/"):
        return f"{run_folder.resolve()}{value.removeprefix(RUN)}"
    return value


def make_plan(path: str | os.PathLike[str], preset: str | None = None, overrides: Sequence[str] = ()) -> Plan:
    """Read an experiment file and plan it. DescriptionError carries one line per mistake, in the order of the file."""
    # Reading descriptions needs the engines' checked configs; a plan that was made needs none of it, and `orch status` none of the time.
    from orchestrator.description import read_experiment
    from orchestrator.errors import DescriptionError
    from orchestrator.expand import expand
    from orchestrator.located import Mistakes

    mistakes = Mistakes()
    experiment = read_experiment(Path(path), preset, overrides, mistakes)
    jobs = expand(experiment.stages, mistakes) if experiment else []
    if mistakes.lines or experiment is None:
        raise DescriptionError(*mistakes.in_file_order())
    return Plan(experiment=experiment.name, about=experiment.about, preset=experiment.preset, source=experiment.source,
                jobs=tuple(jobs), identity=digest([experiment.name, sorted([job.name, job.identity] for job in jobs)]))
