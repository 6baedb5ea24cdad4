"""Fit linear probes on the hidden states of small sequence models."""

from engines.probe.config import WARM, Config

__all__ = ["WARM", "Config"]
