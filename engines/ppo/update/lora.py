"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685) on the linear layers of a decoder; the
rest of the model is frozen.

An adapted layer keeps its name and its weight, so that the model stays the same to vLLM and in a
checkpoint: both get the merged weight.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch

from engines.contract.config import ConfigError
from engines.ppo.config import LowRank
from engines.shared.inference import sample_seed

ADAPTER = ("lora_down", "lora_up")
"""Names of the trained parameters of an adapted layer."""


class LoraLinear(torch.nn.Linear):  # type: ignore[misc]  # torch is not followed by mypy here
    """W x + b + (alpha / rank) U D x with ``lora_down`` D (rank, in) and ``lora_up`` U (out, rank),
    both float32; W and b are frozen."""

    lora_scale: float
    lora_active: bool

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out)."""
        found: torch.Tensor = super().forward(values)
        if not self.lora_active:
            return found
        low = torch.nn.functional.linear(values.to(self.lora_down.dtype), self.lora_down)
        return found + self.lora_scale * torch.nn.functional.linear(low, self.lora_up).to(
            found.dtype
        )

    def merged(self, weight: torch.Tensor, down: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        """The weight of a plain linear layer that computes the same: W + (alpha / rank) U D, in
        float32."""
        return weight.float() + self.lora_scale * (up.float() @ down.float())


def adapt(model: Any, low_rank: LowRank, seed: int) -> None:
    """Freeze ``model`` and put adapters on all linear layers of its decoder layers, in place. They
    change nothing at first: U is 0."""
    model.requires_grad_(False)
    chosen = [
        (name, module)
        for name, module in model.named_modules()
        # Inside the decoder layers only: the head stays out, as it may be tied to the embedding,
        # and then the merged head would change the embedding too.
        if type(module) is torch.nn.Linear and ".layers." in f".{name}"
    ]
    if not chosen:
        raise ConfigError("lora: the model has no linear layer in a decoder layer; leave lora out")
    for name, module in chosen:
        # The class changes in place: a module around it would put its own name into every weight's.
        module.__class__ = LoraLinear
        module.lora_scale, module.lora_active = low_rank.alpha / low_rank.rank, True
        # By name: the same in all processes, whatever else has drawn random numbers there.
        generator = torch.Generator().manual_seed(sample_seed(seed, "lora", name))
        down = torch.empty(low_rank.rank, module.in_features)
        # The start that PEFT uses.
        torch.nn.init.kaiming_uniform_(down, a=math.sqrt(5), generator=generator)
        place = module.weight.device
        module.lora_down = torch.nn.Parameter(down.to(place))
        module.lora_up = torch.nn.Parameter(
            torch.zeros(module.out_features, low_rank.rank, device=place)
        )


@contextlib.contextmanager
def adapters_off(model: Any) -> Iterator[None]:
    """Compute with the frozen model alone."""
    adapted = [module for module in model.modules() if isinstance(module, LoraLinear)]
    for module in adapted:
        module.lora_active = False
    try:
        yield
    finally:
        for module in adapted:
            module.lora_active = True
