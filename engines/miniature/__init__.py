"""Make six miniature reasoning domains and a tiny language model, without a download."""

from engines.miniature.config import Config

__all__ = ["Config"]
