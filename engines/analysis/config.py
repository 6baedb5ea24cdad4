"""The report of an experiment: two arms compared problem by problem, curves over training, what ran
where."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engines.contract.config import EngineConfig
from engines.contract.results import ResultSource

WARM = ("engines.analysis.__main__",)
"""What a process may import once and then fork for each job of a pack: this starts no thread,
touches no GPU and draws no random number."""


class Compare(EngineConfig):
    """Which two values of which axis are compared."""

    axis: str = "arm"
    """The axis that tells the arms apart."""
    baseline: str
    """Value of the axis for the reference arm."""
    treatment: str
    """Value of the axis for the other arm; differences are treatment minus baseline."""


class Config(EngineConfig):
    """Config of ``python -m engines.analysis``."""

    inputs: list[ResultSource] = Field(default_factory=list)
    """Output folders of the jobs to report on; the planner fills them in."""
    compare: Compare
    """The comparison that the report answers."""
    metric: Literal["accuracy", "score"] = "accuracy"
    """accuracy counts samples with value 1; score takes the mean value, partial credit included."""
    checkpoint: str = "last"
    """Which evaluated checkpoint is compared: ``last`` or a checkpoint's name."""
    checkpoints: dict[str, str] = Field(default_factory=dict)
    """Job name -> its compared checkpoint, where that is another one; `orch compare` fills it
    in."""
    specialists: list[ResultSource] = Field(default_factory=list)
    """Evaluations of models trained for less: the best of them on each domain is what the treatment
    is expected to reach."""
    seed: int = 0
    """Seed of the bootstrap."""
    draws: int = 10_000
    """Bootstrap resamples."""
