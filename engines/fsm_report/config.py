"""The report on models that learned finite-state machines: scores over seeds beside what could be
known, curves, probes, answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engines.contract.config import EngineConfig
from engines.contract.results import ResultSource


class Question(EngineConfig):
    """One question, asked of one or two groups; a group is the jobs that differ only in their
    seed."""

    ask: str
    """The question in words."""
    kind: Literal["match", "better", "learned"]
    """``match``: is ``first`` as good as ``second``; ``better``: is it better; ``learned``: does it
    reach ``learned``."""
    first: str
    """A group: the name of its jobs without the seed, such as ``small-5s5a/model=lstm-small``."""
    second: str | None = None
    """The group that it is compared with."""

    @model_validator(mode="after")
    def _fits(self) -> Question:
        if (self.second is None) != (self.kind == "learned"):
            raise ValueError(
                f"'{self.kind}' asks "
                f"{'one group: take out second' if self.kind == 'learned' else 'two groups: name second'}"
            )
        return self


class Config(EngineConfig):
    """Config of ``python -m engines.fsm_report``."""

    inputs: list[ResultSource] = Field(default_factory=list)
    """Output folders of the jobs to report on; the planner fills them in."""
    questions: list[Question] = Field(default_factory=list)
    """What the report answers."""
    learned: float = Field(default=0.9, gt=0, le=1)
    """Test accuracy from which a model counts as one that has learned the machines."""
    margin: float = Field(default=0.02, gt=0, lt=1)
    """Largest difference of two groups that are called equal, in the unit that is compared."""
