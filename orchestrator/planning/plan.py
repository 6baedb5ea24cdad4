"""What one launch does: the jobs in an order in which they can run, each with its whole config,
identity and folder.

``planner`` makes a plan of an experiment; runs keep it (``runs/plan_file.py``), and everything that
submits, judges or shows jobs reads it. Light: no YAML, no pydantic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from jobs.choices import Choice
from jobs.gates import Condition
from jobs.searches import Search
from jobs.spec import Chain, Job, Replaced
from orchestrator.description.profile import Messages, Tracking
from orchestrator.node.claims import NODE_FAILURE

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
    """Stage -> what must hold of other stages' results before its jobs run; job -> the same, where
    the gates of its stage name values of its own. Not part of the identity, a threshold may be
    changed."""
    identity: str
    """Hash over the names and identities of the jobs: the same plan continues the same run."""
    choices: dict[str, Choice] = field(default_factory=dict)
    """Job -> of which jobs it follows the best one; a plan of an older version has none."""
    searches: dict[str, Search] = field(default_factory=dict)
    """Stage -> how the points of its rounds are drawn; a plan of an older version has none."""
    replaced: tuple[Replaced, ...] = ()
    """Jobs in the place of others; the plan has the identity that it had before."""
    chains: dict[str, Chain] = field(default_factory=dict)
    """By stage; a plan of an older version has none."""
    overrides: tuple[str, ...] = ()
    """The ``--set`` arguments it was made with."""
    snapshot: bool = False
    """Whether commands run in a copy of the folder that orch was called in."""
    reuse: bool = False
    """Whether what another run of the same folder has done is taken from there. Not part of the
    identity."""
    notify: Messages = field(default_factory=Messages)
    """Who is told of what; empty: as the cluster's profile says. Not part of the identity."""
    retry: dict[str, int] = field(default_factory=dict)
    """How often a job is submitted again by itself, by kind of failure (``failure_causes.Kind``).
    Not part of the identity."""
    budget: dict[str, float] = field(default_factory=dict)
    """``gpu_hours`` that the run may take; empty: as the cluster's profile says. Not part of the
    identity."""
    track: Tracking = field(default_factory=Tracking)
    """Where engines log to; empty: as the cluster's profile says. Not part of the identity."""

    @property
    def run_name(self) -> str:
        """``experiment/run``: where a launch of it lies below the folder of all runs."""
        return f"{self.experiment}/{self.preset or 'full'}-{self.identity[:8]}"

    @property
    def gpu_hours(self) -> float:
        """GPU-hours asked for, if every job used its whole time limit; those of a pack share
        theirs."""
        sizes = Counter(job.stage for job in self.jobs)
        hours = 0.0
        for job in self.jobs:
            # A pack of four holds two if the stage has two jobs; the GPUs are asked for once for
            # all.
            running = job.running_of(min(job.pack, sizes[job.stage]))
            hours += job.resources.gpu_hours / running
        return hours

    @property
    def lost_at_most(self) -> int | None:
        """How many starts of a job may end without a word before it ends for good; None: no bound
        but the scheduler's."""
        return self.retry.get(NODE_FAILURE)

    @cached_property
    def stage_of(self) -> dict[str, str]:
        """The stage of each job."""
        return {job.name: job.stage for job in self.jobs}

    @cached_property
    def by_stage(self) -> dict[str, list[Job]]:
        """The jobs of each stage, in the plan's order."""
        stages: dict[str, list[Job]] = {}
        for job in self.jobs:
            stages.setdefault(job.stage, []).append(job)
        return stages

    @cached_property
    def short_canaries(self) -> set[str]:
        """Names of the short canaries, whose results count for nothing; a canary that is the first
        job of its own stage counts like the others."""
        stages = self.stage_of
        names = set()
        for job in self.jobs:
            # A short canary is a stage of its own (`train-canary`).
            if job.canary is not None and stages[job.canary] != job.stage:
                names.add(job.canary)
        return names

    @cached_property
    def gate_keys(self) -> dict[str, str]:
        """Job -> under which key of ``gates`` its conditions stand, its own name or its stage; only
        jobs that have some."""
        found: dict[str, str] = {}
        if not self.gates:
            return found
        for job in self.jobs:
            for key in (job.stage, job.name):
                if key in self.gates:
                    found[job.name] = key
        return found

    def conditions_of(self, job: str) -> tuple[Condition, ...]:
        """What must hold before a job runs."""
        return self.gates.get(self.gate_keys.get(job, ""), ())

    def named_metrics(self, stage: str) -> tuple[str, ...]:
        """Metrics that a stage names and says which values are better of."""
        chain = self.chains.get(stage)
        return () if chain is None else tuple(chain.better)

    def round_of(self, job: Job) -> int | None:
        """The round of a search, from 1, that a job belongs to; None: its stage has no search."""
        search = self.searches.get(job.stage)
        return None if search is None else search.round_of(job.axes)

    @property
    def gated_jobs(self) -> set[str]:
        """Names of the jobs that a gate may skip, itself or with what they depend on."""
        names: set[str] = set()
        # Parents come first in a plan, so one pass is enough.
        for job in self.jobs:
            own_gate = job.name in self.gate_keys
            needs_one = any(name in names for name in job.requires)
            # It can do without any one of them, but not without all.
            nothing_else = bool(job.after) and names.issuperset(job.after)
            if own_gate or needs_one or nothing_else:
                names.add(job.name)
        return names

    def below(self, run_folder: Path) -> Plan:
        """The plan with absolute paths to other jobs' files."""
        folder = str(run_folder.resolve())
        jobs = []
        for job in self.jobs:
            config = moved(job.config, RUN, folder)
            jobs.append(replace(job, config=config) if config else job)
        return replace(self, jobs=tuple(jobs))

    def head(self) -> dict[str, Any]:
        """Plain JSON values, without the jobs."""
        gates = {}
        for stage, conditions in self.gates.items():
            gates[stage] = [condition.to_dict() for condition in conditions]
        return {
            "experiment": self.experiment,
            "about": self.about,
            "preset": self.preset,
            "source": str(self.source),
            "identity": self.identity,
            "gpu_hours": self.gpu_hours,
            "overrides": list(self.overrides),
            "snapshot": self.snapshot,
            "reuse": self.reuse,
            "notify": self.notify,
            "retry": self.retry,
            "budget": self.budget,
            "track": self.track,
            "gates": gates,
            "choices": {name: choice.to_dict() for name, choice in self.choices.items()},
            "searches": {stage: search.to_dict() for stage, search in self.searches.items()},
            "replaced": [vars(one) for one in self.replaced],
            "chains": {stage: vars(chain) for stage, chain in self.chains.items()},
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
    # Only at the start of a text: `{run}` in the middle of a prompt is no path of ours.
    if isinstance(value, str) and value.startswith(f"{here}/"):
        return there + value.removeprefix(here)
    return value
