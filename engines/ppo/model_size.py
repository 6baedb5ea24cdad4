"""How big a model is, from its files alone. Light: the login node asks before anything is
submitted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from engines.contract.checkpoints import CheckpointSource
from engines.contract.formats.weights import shapes_of

KINDS = ("qwen2", "qwen3", "llama", "mistral")
"""Model types whose shapes are known."""


@dataclass(frozen=True)
class ModelSize:
    """What decides memory and time."""

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    """Width of the feed-forward blocks."""
    vocabulary: int
    cache_bytes_per_token: int
    """Keys and values of one token in bfloat16, all layers."""


def model_size(folder: Path) -> ModelSize | None:
    """Size of the Hugging Face model in ``folder``: by its weights, else by its config; None if
    neither tells."""
    path = folder / "config.json"
    if not path.is_file():
        return None
    config: dict[str, Any] = json.loads(path.read_text())
    if (
        not {"hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"}
        <= config.keys()
    ):
        return None
    parameters = counted(folder) or from_shapes(config)
    if parameters is None:
        return None
    # Grouped-query attention: fewer heads of keys and values than of queries. Where a
    # config does not say how many, they are equal.
    heads = config.get("num_key_value_heads") or config["num_attention_heads"]
    return ModelSize(
        parameters,
        config["num_hidden_layers"],
        config["hidden_size"],
        config.get("intermediate_size", 4 * config["hidden_size"]),
        config["vocab_size"],
        # Keys and values (2) of every layer, 2 bytes each.
        config["num_hidden_layers"] * 2 * heads * head_width(config) * 2,
    )


def adapter_parameters(size: ModelSize, rank: int) -> int:
    """Parameters of low-rank adapters on all linear layers of a Llama-like model whose heads
    together are as wide as it is."""
    # All key heads together: the cache holds keys and values, 2 bytes each, of every layer.
    keys = size.cache_bytes_per_token // (size.layers * 2 * 2)
    # An adapter on a layer in -> out has rank * (in + out) parameters. The layers: queries and
    # output; keys and values; gate, up and down of the feed-forward block.
    widths = (
        2 * (size.hidden + size.hidden)
        + 2 * (size.hidden + keys)
        + 3 * (size.hidden + size.intermediate)
    )
    return size.layers * rank * widths


def head_width(config: dict[str, Any]) -> int:
    """Width of one attention head."""
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def counted(folder: Path) -> int | None:
    """Parameters in the weight files, read from their headers; None if there are no such files, or
    if they are not whole."""
    shapes = shapes_of(folder)
    if isinstance(shapes, str):
        return None
    return sum(map(prod, shapes.values()))


def from_shapes(config: dict[str, Any]) -> int | None:
    """Parameters of a Llama-like model by its shapes; None for a type of model that is not
    known."""
    kind = config.get("model_type")
    if kind not in KINDS:
        return None
    hidden, width = config["hidden_size"], head_width(config)
    queries = config["num_attention_heads"] * width
    keys = (config.get("num_key_value_heads") or config["num_attention_heads"]) * width
    attention = hidden * (queries + 2 * keys) + queries * hidden
    # Qwen2 has biases on queries, keys and values, and none on the output; with `attention_bias` a
    # model has them on all four.
    if kind == "qwen2":
        attention += queries + 2 * keys
    elif config.get("attention_bias", False):
        attention += queries + 2 * keys + hidden
    # Qwen3 also normalises the queries and keys of each head.
    norms = 2 * hidden + (2 * width if kind == "qwen3" else 0)
    layer = attention + 3 * hidden * config["intermediate_size"] + norms
    embeddings = (
        config["vocab_size"] * hidden * (1 if config.get("tie_word_embeddings", False) else 2)
    )
    # The last term is the final norm.
    return int(embeddings + config["num_hidden_layers"] * layer + hidden)


def model_folder(model: str | CheckpointSource) -> Path | None:
    """Where a model lies on this machine: its folder, or the hub's cache; None if it is not here
    (yet)."""
    if isinstance(model, CheckpointSource):
        # Any of the job's checkpoints will do: they have the same shapes. Names with a leading dot
        # are checkpoints that are still being written.
        found = sorted(Path(model.folder).glob("checkpoints/[!.]*/model/config.json"))
        return found[0].parent if found else None
    if (Path(model) / "config.json").is_file():
        return Path(model)
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return None  # a login node with the light installation
    try:
        path = try_to_load_from_cache(model, "config.json")
    except HFValidationError:
        return None
    return Path(path).parent if isinstance(path, str) else None
