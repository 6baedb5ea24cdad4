"""A job: what a stage becomes, once for each point of its matrix.

It is one run of one engine (or of a user's command), with resources and what it waits for. The
planner makes jobs, plans keep them (``Job.to_dict``), and everything behind reads them. Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one job asks of the cluster."""

    nodes: int = 1
    gpus: int = 0
    """GPUs per node; the type comes from the cluster's profile."""
    cpus: int = 1
    """CPU cores per node."""
    memory_gb: int = 4
    """Memory per node."""
    minutes: int = 60
    """Time limit."""

    def to_dict(self) -> dict[str, int]:
        """Plain JSON values, also those that the plan it was read from does not have."""
        return {key: getattr(self, key) for key in self.__dataclass_fields__}

    @property
    def gpu_hours(self) -> float:
        """GPU-hours asked for, if the job used its whole time limit."""
        # `gpus` is per node.
        return self.nodes * self.gpus * self.minutes / 60

    def shared_by(self, members: int, at_once: int) -> Resources:
        """What so many jobs ask for together in one allocation: CPUs and memory for each that runs
        at a time, GPUs that they share, time for as many turns as it takes."""
        cpus, memory_gb = self.cpus * at_once, self.memory_gb * at_once
        minutes = self.minutes * math.ceil(members / at_once)
        return replace(self, cpus=cpus, memory_gb=memory_gb, minutes=minutes)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where a job runs and in what surroundings, as far as its stage says something of its own; for
    the rest the cluster's profile holds."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    sbatch: dict[str, str | int | float | bool] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    setup: tuple[str, ...] = ()
    wrap: tuple[str, ...] | None = None
    """None: as the profile has it; empty: no container."""

    def given(self) -> dict[str, Any]:
        """What the stage says itself, by key, as plain JSON values."""
        values = {}
        for key, value in vars(self).items():
            # `wrap: []` says something: none of the profile's.
            if value or (key == "wrap" and value is not None):
                values[key] = list(value) if isinstance(value, tuple) else value
        return values


NO_OPTIONS = Options()
"""What a stage has that leaves everything to the profile."""


def is_own_engine(engine: str | None) -> bool:
    """Whether an engine is a file of the user's own, ``path/file.py:function``: the names of the
    installed ones hold no colon."""
    return engine is not None and ":" in engine


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of one engine."""

    name: str
    """Says what varies: ``train/arm=pcgrad,seed=0``. Unique in a plan."""
    stage: str
    axes: dict[str, str | int | float | bool]
    """The point of the stage's matrix: ``{"arm": "pcgrad", "seed": 0}``."""
    engine: str | None
    """``ppo`` for ``engines.ppo``, ``path/file.py:function`` for one of the user's own; None for a
    user's command."""
    command: tuple[str, ...] | None
    """Argument list of a user's command; None for an engine. Run in the folder where orch was
    called, as it is: no shell."""
    config: dict[str, Any]
    """The engine's whole config. A reference ``{of: ..}`` has become a path below the run's
    folder."""
    resources: Resources
    after: tuple[str, ...] = ()
    """Names of the jobs whose results this one needs."""
    requires: tuple[str, ...] = ()
    """Those of ``after`` without which it makes no sense: its ``for_each`` job, and the jobs whose
    files its config names. If a gate skips one of them this job is skipped too; without another one
    it runs all the same."""
    identity: str = ""
    """Hash of what decides the result: engine or command, config, and the identities of the jobs it
    needs."""
    folder: str = field(default="")
    """The job's folder, relative to the run folder."""
    pack: int = 1
    """How many jobs of its stage share one allocation; ``resources`` are those of one job."""
    at_once: int | None = None
    """How many of these run at a time; None: all."""
    canary: str | None = None
    """The job of its stage that must succeed before this one starts; it says nothing about results,
    so it is no part of the identity."""
    options: Options = NO_OPTIONS
    """Like resources they are no part of the identity."""

    @property
    def waits_for(self) -> tuple[str, ...]:
        """Names of all jobs that must be over before this one starts."""
        return self.after if self.canary is None else (*self.after, self.canary)

    @property
    def is_users(self) -> bool:
        """Whether its program is the user's, a command or an engine of their own: it lies where
        orch was called, or in the copy of that folder."""
        return self.engine is None or is_own_engine(self.engine)

    def running_of(self, members: int) -> int:
        """How many of so many jobs in one allocation run at a time."""
        return members if self.at_once is None else min(self.at_once, members)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = {
            **vars(self),
            "resources": self.resources.to_dict(),
            "after": list(self.after),
            "requires": list(self.requires),
        }
        # Of most jobs there are none, and a plan may have thousands of jobs.
        options = self.options.given()
        return values | {"options": options} if options else without(values, "options")


def without(values: dict[str, Any], key: str) -> dict[str, Any]:
    """The values but for one key."""
    return {other: value for other, value in values.items() if other != key}


@dataclass(frozen=True, kw_only=True)
class Replaced:
    """A job that took the place of another one."""

    job: str
    """The one that is not in the plan any more."""
    by: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Chain:
    """How a stage follows another one, and what its jobs do: what an inventory counts by."""

    for_each: str = ""
    """The stage that it has a job for each job of."""
    does: str = ""
    """What its engine does to a model: ``trained``."""
    counts: str = ""
    """What the steps of its progress are: ``sets``."""
    better: dict[str, bool] = field(default_factory=dict)
    """Of the metrics that a command measures, whether higher values are better; only of those of
    which one direction is."""


def asks_for(resources: Resources) -> str:
    """``2 nodes x 8 GPUs, 32 CPUs, 250 GB``."""
    parts = []
    for number, unit in ((resources.gpus, "GPU"), (resources.cpus, "CPU")):
        if number:
            parts.append(f"{number} {unit}{'s' if number > 1 else ''}")
    text = ", ".join([*parts, f"{resources.memory_gb} GB"])
    return f"{resources.nodes} nodes x {text}" if resources.nodes > 1 else text
