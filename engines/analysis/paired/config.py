"""What two runs have measured, metric by metric, paired over seeds.

In: a file that `orch compare` writes. Out: ``Config``. Light: the login node makes it.
"""

from __future__ import annotations

from pydantic import Field

from engines.contract.config import EngineConfig
from engines.contract.results import ResultSource


class SideOfRun(EngineConfig):
    """One of the two sides."""

    label: str
    """What the person called it."""
    jobs: list[ResultSource]
    """Its jobs that have left results."""


class Config(EngineConfig):
    """Config of ``python -m engines.analysis.paired``; `orch compare` writes it."""

    baseline: SideOfRun
    treatment: SideOfRun
    """Differences are this side minus the baseline."""
    metric: str | None = None
    """The one metric to compare; None: each that both sides have."""
    higher: dict[str, bool] = Field(default_factory=dict)
    """By metric, whether higher values are better; of others a difference is not called better."""
