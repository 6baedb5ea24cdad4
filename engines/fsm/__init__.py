"""Train small sequence models on random finite-state machines."""

from engines.fsm.config import WARM, Config

__all__ = ["WARM", "Config"]
