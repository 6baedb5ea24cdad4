"""Evaluate models that write replies by many replies to each prompt: how different they are, and
how many are any good."""

from engines.polychromic_evaluation.config import Config

__all__ = ["Config"]
