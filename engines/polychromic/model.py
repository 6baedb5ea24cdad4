"""The model that is trained: its base from a folder, adapters on it, and what names its parameters.

In: the config. Out: the model packed, its tokenizer and its trained parameters by name; or one line
that says why it cannot be trained. Called once per start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from engines.contract import checkpoints
from engines.contract.checkpoints import CheckpointSource
from engines.contract.config import ConfigError
from engines.polychromic.config import Config
from engines.shared.language_model.lora import adapt, write_adapter
from engines.shared.language_model.packing import Scorer
from engines.shared.replies.prompts import end_token_id
from engines.shared.whole_model import whole_model


@dataclass(frozen=True)
class Base:
    """What is trained on."""

    folder: Path
    fingerprint: str
    """Of its weight files."""


@dataclass(frozen=True)
class Model:
    """A causal language model with what is trained of it."""

    scorer: Scorer
    tokenizer: Any
    end_token: int
    parameters: dict[str, torch.nn.Parameter]
    """Those that are trained, float32."""
    device: torch.device
    base: Base
    adapted: bool
    """Only adapters are trained, and modules beside them where asked for."""

    @property
    def inner(self) -> Any:
        """transformers' model, in which the adapters are."""
        return self.scorer.model

    def passes(self) -> Any:
        """The precision of forward passes: bfloat16 on a GPU, where the base is held in it."""
        lower = self.device.type == "cuda" and self.inner.dtype == torch.bfloat16
        return torch.autocast(self.device.type, torch.bfloat16, enabled=lower)

    def training(self, on: bool) -> None:
        """With dropout, or without; a change walks through all modules, so only where it is one."""
        if self.scorer.training != on:
            self.scorer.train(on)

    def shares(self, turns: Sequence[tuple[Sequence[int], Sequence[int]]]) -> bool:
        """Whether passes over ``turns``, each a prompt and a reply, compute a prompt once for all
        of its replies."""
        longest = max((len(prompt) + len(reply) for prompt, reply in turns), default=0)
        return self.scorer.shares_prompts(self.device, longest)

    def write(self, folder: Path) -> None:
        """Write what others load: the adapter, or the whole model with its tokenizer."""
        if self.adapted:
            write_adapter(self.inner, folder, self.base.fingerprint)
            return
        self.inner.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def find_base(config: Config) -> Base:
    """The folder to start from, with its fingerprint. ConfigError if it is missing or an
    adapter."""
    if isinstance(config.model, CheckpointSource):
        found = checkpoints.named(Path(config.model.folder), config.model.checkpoint)
        if found.manifest.format != "huggingface":
            raise ConfigError(
                f"model: {found.path} is of format {found.manifest.format}; training starts from a "
                "whole model (huggingface): merge it first"
            )
        return Base(found.model, found.manifest.fingerprint)
    folder = Path(config.model)
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"model: {folder} is no Hugging Face folder (no config.json in it); download it first "
            "and name its folder"
        )
    try:
        return Base(folder, checkpoints.fingerprint(folder))
    except FileNotFoundError as error:
        raise ConfigError(f"model: {error}") from error


def choose_device(config: Config) -> torch.device:
    """Where the training runs; ConfigError if it needs a GPU and there is none."""
    there = torch.cuda.is_available()
    if config.device == "cuda" and not there:
        raise ConfigError("device: 'cuda', but torch finds no GPU here; take 'auto' or 'cpu'")
    device = torch.device("cuda" if there and config.device != "cpu" else "cpu")
    if config.quantization == "nf4" and device.type == "cpu":
        raise ConfigError("quantization: nf4 needs a GPU, and torch finds none here; take 'none'")
    return device


def load_model(config: Config, base: Base, device: torch.device) -> Model:
    """The model at the beginning of the training. ConfigError for one that cannot be trained."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base.folder, local_files_only=True)
    inner = load_inner(config, base.folder, device)
    check_model(inner, config)
    # Keys and values are kept for generation only, which asks for them itself.
    inner.config.use_cache = False
    recompute = config.gradient_checkpointing
    if recompute is None:
        recompute = device.type == "cuda"
    if recompute:
        # The reentrant kind loses the gradient where the input of a layer needs none, as it is with
        # adapters: the embedding below the first layer is frozen.
        inner.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if config.lora is not None:
        adapt(inner, config.lora, config.seed)
    else:
        inner.float()
    parameters = {
        name: parameter for name, parameter in inner.named_parameters() if parameter.requires_grad
    }
    adapted = config.lora is not None
    end = end_token_id(tokenizer)
    # A fresh module says that it trains, whatever the mode of the model in it: transformers loads
    # one without dropout.
    scorer = Scorer(inner).train()
    return Model(scorer, tokenizer, end, parameters, device, base, adapted)


def load_inner(config: Config, folder: Path, device: torch.device) -> Any:
    """transformers' model on the device, in the precision of the config. ConfigError if its weights
    are not whole."""
    from transformers import AutoModelForCausalLM

    precision = config.precision
    if precision == "auto":
        precision = "bfloat16" if device.type == "cuda" else "float32"
    dtype = getattr(torch, precision)
    options: dict[str, Any] = {"dtype": dtype}
    if config.quantization == "nf4":
        options |= {"quantization_config": four_bits(), "device_map": {"": device}}
        return whole_model(AutoModelForCausalLM, folder, **options)
    return whole_model(AutoModelForCausalLM, folder, **options).to(device)


def four_bits() -> Any:
    """NF4 with double quantisation, products in bfloat16 (QLoRA, Dettmers et al. 2023, arXiv
    2305.14314)."""
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "quantization: nf4 needs the package bitsandbytes: run: pip install bitsandbytes"
        ) from error
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def check_model(inner: Any, config: Config) -> None:
    """ConfigError for a model whose attention the packed passes do not have, or whose context is
    too short."""
    settings = inner.config
    if getattr(settings, "attention_dropout", 0.0):
        raise ConfigError(
            f"model: has attention_dropout {settings.attention_dropout}, which packed passes do "
            "not have; set it to 0 in its config.json (adapters have their own, lora.dropout)"
        )
    sampled = config.diversity.sampled or config.unique_valid_prompts is not None
    longest = config.max_tokens + config.diversity.max_new_tokens * sampled
    window = getattr(settings, "sliding_window", None)
    if window is not None and window < longest:
        raise ConfigError(
            f"model: attends to the last {window} tokens only, and sequences may have {longest}; "
            "lower max_tokens or diversity.max_new_tokens"
        )
    places = getattr(settings, "max_position_embeddings", None)
    if places is not None and places < longest:
        raise ConfigError(
            f"model: has {places} positions, and max_tokens with the samples asks for {longest}; "
            "lower max_tokens or diversity.max_new_tokens"
        )
