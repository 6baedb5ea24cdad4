"""What the data is made of. Light on purpose (no numpy): the login node checks a config with it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engines.contract.config import EngineConfig
from engines.shared.geography.cities.table import MOST
from engines.shared.geography.description import Cities
from engines.shared.geography.questions.pairs import kinds_of_pairs, lacking_pairs
from engines.shared.geography.tasks import TASKS, TaskName


class Rows(EngineConfig):
    """Questions of each split of a set."""

    train: int = Field(default=1_000_000, ge=1)
    """Training questions."""
    validation: int = Field(default=128, ge=1)
    """Questions to choose a model with."""
    test: int = Field(default=10_000, ge=1)
    """Questions to report on."""


class Config(EngineConfig):
    """A world and the sets of questions about it."""

    seed: int = Field(default=42, ge=0)
    """Decides the ids, Atlantis, what is held out, and the questions."""
    cities: int = Field(default=MOST, ge=12, le=MOST)
    """Real cities, the most populous ones of the table; 5075 is the published number."""
    atlantis: int = Field(default=100, ge=0, le=1_000)
    """Invented cities in the middle of the Atlantic."""
    tasks: list[TaskName] | Literal["all"] = "all"
    """Kinds of questions."""
    sets: dict[Cities, Rows] = Field(
        default={"no_atlantis": Rows(), "atlantis_required": Rows(train=100_000)}
    )
    """Which cities are asked about, and how many questions of each task and split there are:
    ``no_atlantis``, ``with_atlantis`` (all cities), ``atlantis_required`` (at least one of Atlantis
    in every question)."""
    test_share: float = Field(default=0.1, gt=0, lt=0.5)
    """Share of all possible questions that are kept for tests: of the pairs of cities, for
    distance, compass and perimeters of two together, and of the other tasks' questions."""
    validation_share: float = Field(default=0.02, gt=0, lt=0.5)
    """Share that is kept for validation."""

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if not self.sets or not self.names:
            raise ValueError("tasks and sets: name at least one of each")
        if self.tasks != "all" and len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"tasks: names a task twice: {', '.join(self.tasks)}")
        if self.atlantis == 0 and set(self.sets) != {"no_atlantis"}:
            raise ValueError("atlantis is 0: there can be no set but no_atlantis")
        pairs = kinds_of_pairs(self.cities, self.atlantis)
        shares = (self.validation_share, self.test_share)
        for cities, rows in self.sets.items():
            for task in self.names:
                lacking = lacking_pairs(task, cities, rows.model_dump(), pairs, shares)
                if lacking is not None:
                    raise ValueError(lacking)
        return self

    @property
    def names(self) -> list[str]:
        """The tasks, by name."""
        return list(TASKS) if self.tasks == "all" else list(self.tasks)
