"""Compare the arms of an experiment: tables, statistics, figures and one report."""

from engines.analysis.config import WARM, Config

__all__ = ["WARM", "Config"]
