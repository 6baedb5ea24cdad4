"""Names and sizes that configs of several engines hold: sets of questions, mixtures of them, and
the shape of a model. Light on purpose: no numpy, no torch."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, model_validator

from engines.contract.config import EngineConfig
from engines.shared.geography.tasks import TASKS, TaskName

Cities = Literal["no_atlantis", "with_atlantis", "atlantis_required"]
"""Which cities a set asks about: those of the world alone, all, or all with at least one of
Atlantis in every question."""
CITIES: tuple[Cities, ...] = get_args(Cities)
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


class Part(EngineConfig):
    """Some rows of the training set of each of some tasks."""

    tasks: list[TaskName] | Literal["all"]
    """The tasks, each of which gives so many rows; all seven."""
    cities: Cities = "no_atlantis"
    """Which of a task's sets."""
    rows: int | Literal["all"] = "all"
    """Rows of each task, drawn without replacement."""

    @model_validator(mode="after")
    def _fits(self) -> Part:
        if self.rows != "all" and self.rows < 1:
            raise ValueError(f"rows: must be 1 or more, got {self.rows}")
        if not self.tasks:
            raise ValueError("tasks: names none; name at least one, or all")
        if self.tasks != "all" and len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"tasks: names a task twice: {', '.join(self.tasks)}")
        return self

    @property
    def names(self) -> list[str]:
        """The tasks, by name."""
        return list(TASKS) if self.tasks == "all" else list(self.tasks)


class Shape(EngineConfig):
    """A decoder of Qwen2's architecture: RMSNorm, rotary positions, SwiGLU, an untied head."""

    width: int = Field(default=128, ge=8)
    """Size of the hidden state."""
    layers: int = Field(default=6, ge=1)
    """Depth."""
    heads: int = Field(default=4, ge=1)
    """Attention heads, each with its own keys and values."""
    feed_forward: int = Field(default=512, ge=8)
    """Width of the feed-forward layer."""
    positions: int = Field(default=256, ge=64)
    """Longest sequence that the model is said to take, tokens."""

    @model_validator(mode="after")
    def _fits(self) -> Shape:
        if self.width % (2 * self.heads):
            raise ValueError(
                f"width ({self.width}) must be heads ({self.heads}) times an even number"
            )
        return self
