"""Report what small language models have learned of a map, and what one task gives to another."""

from engines.geography_report.config import Config

__all__ = ["Config"]
