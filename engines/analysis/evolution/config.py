"""How scores change over the checkpoints of trainings: curves, where to stop, what is lost on the
way. Light on purpose."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engines.contract.config import EngineConfig
from engines.contract.results import ResultSource


class Scored(EngineConfig):
    """One checkpoint of a training, and where its scores lie."""

    training: str
    """Job name, or the folder of the checkpoints."""
    axes: dict[str, str | int | float | bool]
    """What tells the training apart from the others."""
    checkpoint: str
    """The checkpoint's name in the training; ``start`` is the model that it began with."""
    step: int
    """Optimizer steps taken."""
    epoch: int
    """Epochs trained; of a checkpoint of another program its step."""
    folder: str
    """Output folder of the evaluation."""
    evaluated_as: str
    """The checkpoint's name there; equal weights are scored once, under the name that came
    first."""


class Config(EngineConfig):
    """Config of ``python -m engines.analysis.evolution``; `orch evolve` writes it."""

    points: list[Scored]
    """The checkpoints; `orch evolve` fills them in."""
    trainings: list[ResultSource] = Field(default_factory=list)
    """Output folders of the trainings, for their rewards; filled in too."""
    pruned: list[str] = Field(default_factory=list)
    """What was deleted before it was scored, in words; filled in too."""
    axis: str = "arm"
    """The axis whose values get a colour each, where the trainings have it."""
    metric: Literal["accuracy", "score"] = "accuracy"
    """accuracy counts samples with value 1; score takes the mean value, partial credit included."""
    level: float = Field(0.05, gt=0, lt=1)
    """An alarm needs a corrected p-value below this."""
    seed: int = 0
    """Seed of the halves and of the bootstrap."""
    draws: int = Field(10_000, ge=100)
    """Bootstrap resamples."""
