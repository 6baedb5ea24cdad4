"""The report on models that answer questions about cities: scores beside constants, what training
on one task gives to another, how alike the models' representations are.

In: an experiment file's ``config``, to which the planner adds the inputs. Out: ``Config``. Light:
the login node checks it before anything is queued.
"""

from __future__ import annotations

from pydantic import Field

from engines.contract.config import EngineConfig
from engines.contract.results import Replaced, ResultSource


class Config(EngineConfig):
    """Config of ``python -m engines.geography_report``."""

    inputs: list[ResultSource] = Field(default_factory=list)
    """Output folders of the jobs to report on; the planner fills them in."""
    replaced: list[Replaced] = Field(default_factory=list)
    """Jobs that took the place of others; the planner fills them in."""
    seed: int = Field(default=0, ge=0)
    """Decides the draws of the bootstrap."""
    draws: int = Field(default=2000, ge=200)
    """Draws of the bootstrap."""
    layer: int | None = Field(default=None, ge=0)
    """The layer whose states are compared between models, 0: the embeddings; null: the last but
    one, which of six layers is the published layer 5."""
