"""Experiment -> Plan: the jobs in an order in which they can run, each with its whole config,
identity and folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from jobs.gates import Condition
from jobs.spec import Job

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
    gates: dict[str, tuple[Condition, ...]] = field(default_factory=dict)
    """Stage -> what must hold of other stages' results before its jobs run; not part of the
    identity, a threshold may be changed."""
    identity: str
    """Hash over the names and identities of the jobs: the same plan continues the same run."""
    overrides: tuple[str, ...] = ()
    """The ``--set`` arguments it was made with."""
    snapshot: bool = False
    """Whether commands run in a copy of the folder that orch was called in."""
    notify: dict[str, Any] = field(default_factory=dict)
    """Who is told of what; empty: as the cluster's profile says. Not part of the identity."""

    @property
    def gpu_hours(self) -> float:
        """GPU-hours asked for, if every job used its whole time limit; those of a pack share
        theirs."""
        sizes = Counter(job.stage for job in self.jobs)
        return sum(job.resources.gpu_hours / min(job.pack, sizes[job.stage]) for job in self.jobs)

    @cached_property
    def short_canaries(self) -> set[str]:
        """Names of the short first jobs, whose results count for nothing."""
        stages = {job.name: job.stage for job in self.jobs}
        return {
            job.canary
            for job in self.jobs
            if job.canary is not None and stages[job.canary] != job.stage
        }

    @property
    def gated_jobs(self) -> set[str]:
        """Names of the jobs that a gate may skip, itself or with what they hang on."""
        names: set[str] = set()
        for job in self.jobs:
            if (
                job.stage in self.gates
                or any(name in names for name in job.requires)
                or (job.after and names.issuperset(job.after))
            ):
                names.add(job.name)
        return names

    def below(self, run_folder: Path) -> Plan:
        """The plan with absolute paths to other jobs' files."""
        folder = str(run_folder.resolve())
        return replace(
            self,
            jobs=tuple(
                replace(job, config=moved(job.config, RUN, folder)) if job.config else job
                for job in self.jobs
            ),
        )

    def head(self) -> dict[str, Any]:
        """Plain JSON values, without the jobs."""
        return {
            "experiment": self.experiment,
            "about": self.about,
            "preset": self.preset,
            "source": str(self.source),
            "identity": self.identity,
            "gpu_hours": self.gpu_hours,
            "overrides": list(self.overrides),
            "snapshot": self.snapshot,
            "notify": self.notify,
            "gates": {
                stage: [one.to_dict() for one in conditions]
                for stage, conditions in self.gates.items()
            },
        }

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**self.head(), "jobs": [job.to_dict() for job in self.jobs]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Plan:
        """The inverse of ``to_json``. msgspec.ValidationError says what is wrong with it."""
        return msgspec.convert(values, cls, dec_hook=path_of)


def path_of(_kind: type, text: str) -> Path:
    """A path as it stands in JSON: the one type of a plan that msgspec does not know."""
    return Path(text)


def moved(value: Any, here: str, there: str) -> Any:
    """``value`` with the folder ``here`` at the start of a path replaced by ``there``."""
    if isinstance(value, dict):
        return {key: moved(item, here, there) for key, item in value.items()}
    if isinstance(value, list):
        return [moved(item, here, there) for item in value]
    if isinstance(value, str) and value.startswith(f"{here}/"):
        return there + value.removeprefix(here)
    return value
