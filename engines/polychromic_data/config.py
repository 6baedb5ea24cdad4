"""What the data is made of. Light on purpose (no torch): the login node checks a config with it."""

from __future__ import annotations

from pydantic import Field, model_validator

from engines.contract.config import DECIDES_NO_RESULT, IS_PATH, EngineConfig
from engines.shared.replies.description import (
    CheckerSettings,
    Fields,
    GrammarChecker,
    RepliesChecker,
    Split,
    Template,
)


class Generate(EngineConfig):
    """Replies of a small grammar, and a tiny base model that knows all of it."""

    rows: int = Field(default=660, ge=12, le=20_000)
    """Texts with one narrow reply each, over all splits."""
    hidden_size: int = Field(default=64, ge=32)
    """Width of the base model."""
    layers: int = Field(default=2, ge=1)
    """Depth of the base model."""
    heads: int = Field(default=2, ge=1)
    """Attention heads; each must be a multiple of 32 wide, which vLLM's CPU kernels ask for."""
    tie_word_embeddings: bool = False
    """Whether input and output embeddings are one matrix."""
    base_steps: int = Field(default=250, ge=1)
    """Supervised steps of the base model on uniform replies."""
    base_batch: int = Field(default=64, ge=1)
    """Replies per step."""
    base_learning_rate: float = Field(default=6e-3, gt=0)
    """Peak of AdamW's learning rate, falling to a tenth on a cosine."""

    @model_validator(mode="after")
    def _fits(self) -> Generate:
        if self.hidden_size % (32 * self.heads):
            raise ValueError(
                f"hidden_size ({self.hidden_size}) must be heads ({self.heads}) times a "
                "multiple of 32"
            )
        return self


class Shares(EngineConfig):
    """Shares of the rows."""

    train: float = Field(default=0.8, gt=0, lt=1)
    """To train on."""
    validation: float = Field(default=0.1, gt=0, lt=1)
    """To choose a checkpoint with."""
    test: float = Field(default=0.1, gt=0, lt=1)
    """To report on."""

    @model_validator(mode="after")
    def _add_up(self) -> Shares:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, validation and test must add up to 1, not {total:g}")
        return self

    def by_split(self) -> dict[Split, float]:
        """The three, by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


class Config(EngineConfig):
    """Rows of a file, or generated ones, cut into three splits."""

    seed: int = Field(default=0, ge=0)
    """Decides which row goes where, and everything that is generated."""
    source: str | None = Field(default=None, json_schema_extra=IS_PATH)
    """A JSONL file, one object a line."""
    fields: Fields = Fields()
    """Its keys."""
    generate: Generate | None = None
    """In place of ``source``: replies from a grammar, with a base model."""
    shares: Shares = Shares()
    """How the rows are divided; the quartiles of likes are divided alike."""
    template: Template = Template()
    """The user's message; trainings and evaluations take it from here."""
    checker: CheckerSettings | None = None
    """What a valid reply is; null: ``grammar`` for generated rows, else ``replies``."""
    cpu_threads: int | None = Field(default=None, ge=1, json_schema_extra=DECIDES_NO_RESULT)
    """Threads for the base model; null: all cores of the job."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Config:
        if (self.source is None) == (self.generate is None):
            raise ValueError("source and generate: give exactly one of the two")
        if self.source is not None and isinstance(self.checker, GrammarChecker):
            raise ValueError("checker: grammar knows generated replies only; take replies")
        return self

    @property
    def checks(self) -> GrammarChecker | RepliesChecker:
        """The checker that the rows get."""
        if self.checker is not None:
            return self.checker
        return RepliesChecker() if self.generate is None else GrammarChecker()
