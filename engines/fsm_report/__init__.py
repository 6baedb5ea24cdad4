"""Report what small sequence models have learned of finite-state machines."""

from engines.fsm_report.config import Config

__all__ = ["Config"]
