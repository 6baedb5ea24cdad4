"""Ask a small language model questions about cities, and judge its answers beside the best
constant answer."""

from engines.geography_evaluation.config import WARM, Config

__all__ = ["WARM", "Config"]
