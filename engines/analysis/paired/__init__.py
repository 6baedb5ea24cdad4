"""What two runs have measured, metric by metric, paired over seeds."""

from engines.analysis.paired.config import Config

__all__ = ["Config"]
