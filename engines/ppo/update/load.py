"""Load the model that is trained.

A folder goes in, a model comes out; one whose probabilities trainer and sampler would compute
differently is refused. Every process of a training calls it once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from engines.contract.config import ConfigError
from engines.ppo.config import Config


def load_model(folder: Path, device: torch.device, dtype: torch.dtype = torch.float32) -> Any:
    """The causal language model of a Hugging Face folder."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True).to(
        device
    )


def check_model(model: Any, config: Config) -> None:
    """ConfigError for a model whose probabilities trainer and sampler would compute differently."""
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Dropout) and module.p > 0:
            raise ConfigError(
                f"model: {name} has dropout; trainer and sampler would compute "
                "different probabilities"
            )
    window = getattr(model.config, "sliding_window", None)
    if window is not None and window < config.max_prompt_tokens + config.max_response_tokens:
        raise ConfigError(
            f"model: attends to the last {window} tokens only; lower "
            "max_prompt_tokens + max_response_tokens to that"
        )
