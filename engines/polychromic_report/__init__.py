"""Report whether diversity-aware fine-tuning gave more different replies, and at what price."""

from engines.polychromic_report.config import Config

__all__ = ["Config"]
