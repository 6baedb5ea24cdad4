"""Follow the checkpoints of a training: learning curves, the best stopping point, overfitting."""

from engines.analysis.evolution.config import Config

__all__ = ["Config"]
