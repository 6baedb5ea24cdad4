"""Small language models learn to answer questions about cities: pretraining and fine-tuning."""

from engines.geography.config import WARM, Config

__all__ = ["WARM", "Config"]
