"""The map that a small language model has of its cities: states, probes with controls, a causal
check, and a picture."""

from engines.geography_maps.config import WARM, Config

__all__ = ["WARM", "Config"]
