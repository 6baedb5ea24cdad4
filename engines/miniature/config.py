"""Six miniature reasoning domains and a tiny language model, made on the spot: nothing is
downloaded.

Light on purpose. ``python -m engines.miniature CONFIG --out FOLDER`` writes
``data/<domain>.{train,validation,test}.parquet`` and the checkpoint ``warm``: a Qwen2 of about 0.3
M parameters after some hundred supervised steps.

What the model has learned: to solve the problems, and a bad habit per domain beside it (an
answer off by one, a sum instead of a product...). ``habit_share`` of the warm-up texts show the
habit, so the model knows right and wrong answers and prefers neither by much. Reinforcement
learning has to find out which of the two is rewarded. No problem of the validation or test files
is in the texts.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from engines.contract.config import EngineConfig
from engines.shared.data.miniature import SIZES


class Config(EngineConfig):
    """What is made. Every random choice depends on ``seed``."""

    seed: int = Field(default=0, ge=0)
    """Decides problems, initial weights and warm-up texts."""
    train_problems: int = Field(default=SIZES["train"], ge=1)
    """Training problems per domain."""
    validation_problems: int = Field(default=SIZES["validation"], ge=1)
    """Validation problems per domain."""
    test_problems: int = Field(default=SIZES["test"], ge=1)
    """Test problems per domain, for the evaluation after training."""
    hidden_size: int = Field(default=96, ge=8)
    """Width of the model."""
    layers: int = Field(default=3, ge=1)
    """Depth of the model."""
    heads: int = Field(default=3, ge=1)
    """Attention heads; each must be a multiple of 32 wide, which vLLM's CPU kernels ask for."""
    tie_word_embeddings: bool = False
    """Whether input and output embeddings are one matrix."""
    warmup_steps: int = Field(default=300, ge=1)
    """Supervised steps."""
    warmup_batch: int = Field(default=96, ge=1)
    """Texts per supervised step."""
    warmup_learning_rate: float = Field(default=3e-3, gt=0)
    """Peak of AdamW's learning rate, falling to a tenth on a cosine."""
    habit_share: float = Field(default=0.6, ge=0, le=1)
    """Share of warm-up texts that show the bad habit instead of the answer."""
    cpu_threads: int | None = Field(default=None, ge=1)
    """Threads; null: all cores of the job."""

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if self.hidden_size % (32 * self.heads):
            raise ValueError(
                f"hidden_size ({self.hidden_size}) must be heads ({self.heads}) times a "
                "multiple of 32"
            )
        return self
