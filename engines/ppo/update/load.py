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
from engines.shared.whole_model import whole_model


def load_model(folder: Path, device: torch.device, dtype: torch.dtype = torch.float32) -> Any:
    """The causal language model of a Hugging Face folder. ConfigError if its weights are not
    whole."""
    from transformers import AutoModelForCausalLM

    return whole_model(AutoModelForCausalLM, folder, dtype=dtype).to(device)


def prepare_model(model: Any, config: Config, device: torch.device) -> Any:
    """The model, ready to be trained; with gradient checkpointing where the config asks for it, or
    says nothing and the device is a GPU. ConfigError as of ``check_model``."""
    model = model.train()
    # Keys and values are kept for generation only; here a pass sees whole sequences.
    model.config.use_cache = False
    recompute = config.gradient_checkpointing
    if recompute is None:
        recompute = device.type == "cuda"
    if recompute:
        # The reentrant kind loses the gradient where the input of a layer needs none, as it is with
        # adapters: the embedding below the first layer is frozen.
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    check_model(model, config)
    return model


def check_model(model: Any, config: Config) -> None:
    """ConfigError for a model whose probabilities trainer and sampler would compute differently."""
    for name, module in model.named_modules():
        # The model is in training mode and would drop activations that vLLM does not.
        if isinstance(module, torch.nn.Dropout) and module.p > 0:
            raise ConfigError(
                f"model: {name} has dropout; trainer and sampler would compute "
                "different probabilities"
            )
    # `packed_attention` has no window. One that is at least as long as every sequence does nothing.
    window = getattr(model.config, "sliding_window", None)
    if window is not None and window < config.longest_sequence:
        raise ConfigError(
            f"model: attends to the last {window} tokens only; lower "
            "max_prompt_tokens + max_response_tokens to that"
        )
