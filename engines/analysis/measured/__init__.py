"""What a user's own command measures of the checkpoints of trainings, as curves."""

from engines.analysis.measured.config import Config

__all__ = ["Config"]
