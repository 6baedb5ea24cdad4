"""A model on disk: a Hugging Face folder of Qwen2 with its tokenizer, which transformers and vLLM
load as any other.

In: a shape and the parameters of one model. Out: ``config.json``, ``generation_config.json``,
``model.safetensors`` (float32, transformers' names), ``tokenizer.json`` and
``tokenizer_config.json``; and back. Written without transformers, whose import takes four seconds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from engines.contract.config import ConfigError, describe
from engines.contract.files import write_json
from engines.shared.geography.description import Shape
from engines.shared.geography.network.model import NORM_EPSILON, ROTARY_BASE, Parameters
from engines.shared.geography.network.shapes import shapes
from engines.shared.geography.vocabulary import (
    BEGIN,
    END,
    NUMBER,
    PADDING,
    SIZE,
    SPECIAL,
    TOKENS,
    UNKNOWN,
)

WEIGHTS_FILE = "model.safetensors"
NAMES = {
    "embedding": "model.embed_tokens.weight",
    "head": "lm_head.weight",
    "norm": "model.norm.weight",
}
"""transformers' names of the parameters outside of the layers."""
IN_LAYER = {
    "qkv": ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"),
    "qkv_bias": ("self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"),
    "out": ("self_attn.o_proj.weight",),
    "gate_up": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
    "down": ("mlp.down_proj.weight",),
    "norm1": ("input_layernorm.weight",),
    "norm2": ("post_attention_layernorm.weight",),
}
"""Those of one layer, from top to bottom of the matrix that holds them."""


SIZES = {
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "feed_forward": "intermediate_size",
    "positions": "max_position_embeddings",
}
"""Keys of ``Shape`` and of ``config.json``."""


def their_names(name: str) -> list[str]:
    """transformers' names of what one of our parameters holds, from top to bottom."""
    if name in NAMES:
        return [NAMES[name]]
    layer, own = name.split(".")
    return [f"model.layers.{layer}.{one}" for one in IN_LAYER[own]]


def write_model(folder: Path, shape: Shape, parameters: Parameters) -> None:
    """Write one model; ``parameters`` are without the axis of models, or with one of length 1."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    tensors = {}
    for name, size in shapes(shape).items():
        whole = parameters[name].detach().float().cpu().reshape(size)
        names = their_names(name)
        for theirs, part in zip(names, whole.chunk(len(names)), strict=True):
            tensors[theirs] = part.contiguous()
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    write_json(folder / "config.json", their_config(shape))
    write_json(
        folder / "generation_config.json",
        {"bos_token_id": BEGIN, "eos_token_id": END, "pad_token_id": PADDING, "do_sample": False},
    )
    write_json(folder / "tokenizer.json", tokenizer())
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "Qwen2Tokenizer",
            "pad_token": SPECIAL[PADDING],
            "unk_token": SPECIAL[UNKNOWN],
            "bos_token": SPECIAL[BEGIN],
            "eos_token": SPECIAL[END],
            "model_max_length": shape.positions,
            "clean_up_tokenization_spaces": False,
        },
    )


def read_model(folder: Path) -> tuple[Shape, Parameters]:
    """Shape and parameters with S = 1, float32 on the CPU; ConfigError if the folder holds another
    kind of model."""
    shape = read_shape(folder)
    found = read_tensors(folder / WEIGHTS_FILE)
    parameters = {}
    for name, size in shapes(shape).items():
        names = their_names(name)
        missing = [one for one in names if one not in found]
        if missing:
            raise ConfigError(f"{folder / WEIGHTS_FILE}: no tensor '{missing[0]}'; copy it again")
        whole = torch.cat([found[one].float() for one in names])
        if tuple(whole.shape) != size:
            raise ConfigError(
                f"{folder / WEIGHTS_FILE}: '{names[0]}' has the shape {list(whole.shape)} where "
                f"config.json says {list(size)}; copy the folder again"
            )
        parameters[name] = whole.unsqueeze(0)
    return shape, parameters


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file; ConfigError if it is not there or not whole."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}); copy it again, or name another checkpoint"
        ) from error
    return tensors


def read_shape(folder: Path) -> Shape:
    """The shape of a model on disk; ConfigError if this code cannot run it."""
    path = folder / "config.json"
    if not path.is_file():
        raise ConfigError(f"{folder}: no config.json; name the model folder of a checkpoint")
    try:
        table = json.loads(path.read_bytes())
    except ValueError as error:
        raise ConfigError(f"{path}: cannot be read ({error}); copy the folder again") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: holds no mapping; copy the folder again")
    try:
        shape = Shape.model_validate({ours: table.get(theirs) for ours, theirs in SIZES.items()})
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(describe(error, Shape))}") from error
    wanted, found = fixed(their_config(shape)), fixed(table)
    unlike = [key for key in wanted if found[key] != wanted[key]]
    if unlike:
        raise ConfigError(
            f"{path}: {unlike[0]} is {found[unlike[0]]!r}, and only {wanted[unlike[0]]!r} can be "
            "run here; name a model that learned questions about cities"
        )
    return shape


def fixed(table: dict[str, Any]) -> dict[str, Any]:
    """What of a ``config.json`` decides the meaning of the weights and is no part of ``Shape``."""
    keys = (
        "model_type",
        "vocab_size",
        "num_key_value_heads",
        "hidden_act",
        "rms_norm_eps",
        "tie_word_embeddings",
    )
    rotary = table.get("rope_parameters") or table
    return {key: table.get(key) for key in keys} | {"rope_theta": rotary.get("rope_theta")}


def their_config(shape: Shape) -> dict[str, Any]:
    """``config.json`` of a shape."""
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": SIZE,
        **{theirs: getattr(shape, ours) for ours, theirs in SIZES.items()},
        "num_key_value_heads": shape.heads,
        "hidden_act": "silu",
        "rms_norm_eps": NORM_EPSILON,
        "tie_word_embeddings": False,
        # Both spellings: transformers below 5 knows the second alone.
        "rope_parameters": {"rope_type": "default", "rope_theta": ROTARY_BASE},
        "rope_theta": ROTARY_BASE,
        "use_sliding_window": False,
        "attention_dropout": 0.0,
        "bos_token_id": BEGIN,
        "eos_token_id": END,
        "pad_token_id": PADDING,
        "dtype": "float32",
        "torch_dtype": "float32",
    }


def tokenizer() -> dict[str, Any]:
    """``tokenizer.json`` of the tokenizers library: a token per character, ``<bos>`` and ``<eos>``
    only where the text has them.

    transformers' AutoTokenizer reads it as a Qwen2Tokenizer, whatever class the files name: the
    same for all characters that have a token; others are ``<unk>`` here and dropped there.
    """
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    special = [
        {"id": number, "content": content, **plain, "special": True}
        for number, content in enumerate(SPECIAL)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        # Without it a decoded text has a space between any two tokens.
        "decoder": {"type": "Fuse"},
        # Byte-pair encoding without merges: every character stays a token of its own.
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": SPECIAL[UNKNOWN],
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: NUMBER[token] for token in TOKENS},
            "merges": [],
        },
    }
