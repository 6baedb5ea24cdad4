"""The report on diversity-aware fine-tuning: what each weight of the diversity term gained, whether
quality was kept, and which level of the decision tree that reaches.

In: an experiment file's ``config``, to which the planner adds the inputs. Out: ``Config``. Light:
the login node checks it before anything is queued.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engines.contract.config import EngineConfig
from engines.contract.metrics import METRICS
from engines.contract.results import Replaced, ResultSource
from engines.contract.words import near


class Level(EngineConfig):
    """One question of the decision tree: has an arm with one of these weights gained more than
    this?"""

    name: str
    """What is concluded if the answer is yes, such as ``workshop``."""
    weights: list[float] = Field(min_length=1)
    """Weights of the diversity term; any arm with one of them may say yes."""
    above: float = Field(gt=0)
    """Relative change of the metric against the arm without the term that the whole interval must
    lie above: 0.25 is 25 %."""


class Margins(EngineConfig):
    """How much worse than the arm without the term an arm may be and still keep its quality: the
    95 % interval must exclude more."""

    unique_valid: float = Field(default=0.05, gt=0, lt=1)
    """Of different valid replies, as a share of the other arm's."""
    cross_entropy: float = Field(default=0.1, gt=0)
    """Of the references' cross-entropy, nats per token; asked where there is no judge."""
    judge: float = Field(default=0.05, gt=0, lt=0.5)
    """Of the judge's preference for the arm, below 0.5."""


DOCUMENT = [
    Level(name="main track", weights=[2.0], above=0.25),
    Level(name="workshop or findings", weights=[1.0], above=0.15),
    Level(name="preprint", weights=[1.0, 2.0], above=0.08),
]
"""The tree of the published plan."""


class Config(EngineConfig):
    """Config of ``python -m engines.polychromic_report``."""

    inputs: list[ResultSource] = Field(default_factory=list)
    """Output folders of the jobs to report on; the planner fills them in."""
    replaced: list[Replaced] = Field(default_factory=list)
    """Jobs that took the place of others; the planner fills them in."""
    metric: str = "distinct_2_rarefied"
    """What the tree asks of: a metric of the evaluation that has a value per prompt."""
    tree: list[Level] = Field(default_factory=lambda: list(DOCUMENT), min_length=1)
    """Asked in this order; the first yes that kept its quality is the conclusion."""
    margins: Margins = Margins()
    """What counts as quality that was kept."""
    prompts_shown: int = Field(default=10, ge=0)
    """Prompts whose replies are shown side by side."""
    price_per_gpu_hour: float | None = Field(default=None, gt=0)
    """What a GPU costs for an hour; null: costs are shown in hours alone."""
    currency: Literal["USD", "EUR", "GBP", "CHF"] = "USD"
    """Of the price."""

    @model_validator(mode="after")
    def _known_metric(self) -> Config:
        if self.metric not in METRICS:
            raise ValueError(f"metric: '{self.metric}' is not known{near(self.metric, METRICS)}")
        return self
