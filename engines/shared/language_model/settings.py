"""What trainings of language models have in common in their configs and estimates.

Light on purpose (no torch): the ``config.py`` of an engine imports it, and so does the login node.
"""

from __future__ import annotations

from pydantic import Field

from engines.contract.config import EngineConfig

LOGIT_ROWS = 2048
"""Response positions per chunk of logits: with a vocabulary of 152k one chunk is 1.2 GB in
float32."""

SAMPLED_ROWS = 512
"""Samples that a torch model draws together; bounds the memory of their keys and values."""


class LoraSettings(EngineConfig):
    """Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685); the model itself is frozen."""

    rank: int = Field(default=16, ge=1)
    """Rank of each adapter."""
    alpha: float = Field(default=16.0, gt=0)
    """The adapters' output is multiplied by this / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of an adapter's inputs that is dropped in training mode."""
    target_modules: list[str] | None = None
    """Last parts of the names of the linear layers that get adapters, such as ``q_proj``; null: all
    linear layers inside the decoder layers."""
    modules_to_save: list[str] = Field(default_factory=list)
    """Modules that are trained whole beside the adapters, such as ``embed_tokens``."""
