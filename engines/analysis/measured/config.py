"""How what a command measures changes over the checkpoints of trainings.

In: a file that `orch evolve` writes. Out: ``Config``. Light: the login node makes it.
"""

from __future__ import annotations

from pydantic import Field

from engines.analysis.evolution.config import Scored
from engines.contract.config import EngineConfig
from engines.contract.results import ResultSource


class Config(EngineConfig):
    """Config of ``python -m engines.analysis.measured``; `orch evolve` writes it."""

    points: list[Scored]
    """The checkpoints; `orch evolve` fills them in."""
    trainings: list[ResultSource] = Field(default_factory=list)
    """Output folders of the trainings; filled in too."""
    pruned: list[str] = Field(default_factory=list)
    """What was deleted before it was scored, in words; filled in too."""
    higher: dict[str, bool] = Field(default_factory=dict)
    """By metric, whether higher values are better; of those that are not here no checkpoint is
    called the best."""
    axis: str = "arm"
    """The axis whose values get a colour each, where the trainings have it; else each training has
    one."""
