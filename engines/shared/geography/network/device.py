"""Where a model runs, by the key ``device`` of an engine's config."""

from __future__ import annotations

from typing import Literal

import torch

from engines.contract.config import ConfigError

Device = Literal["auto", "cpu", "cuda"]


def chosen_device(device: Device) -> torch.device:
    """The GPU if there is one, unless the CPU is asked for. ConfigError if a GPU is asked for and
    there is none."""
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise ConfigError("device: cuda asked for, and there is no GPU; take auto or cpu")
    return torch.device("cuda" if there and device != "cpu" else "cpu")
