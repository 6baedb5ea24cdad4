"""Fine-tuning of a language model on replies, with a gradient that asks for different ones."""

from engines.polychromic.config import WARM, Config

__all__ = ["WARM", "Config"]
