"""What other frameworks leave in the place of whole safetensors weights, and what to do about it.

In: a folder without weights that could be read. Out: one line in words for the user, or None where
nothing looks like a checkpoint. Only names are read: opening a pickle may run code that somebody
has put into it. Called by ``checkpoint_formats.py``.
"""

from __future__ import annotations

import re
from pathlib import Path

from engines.contract.formats.weights import ADAPTER

MERGE_ADAPTER = (
    "is an adapter (LoRA), not a whole model: merge it into the model that it was trained on and "
    "save the whole as safetensors"
)
SHARDS = (
    ("model_world_size_*_rank_*.pt", "a shard of verl: merge the shards with verl's model_merger"),
    ("model_optim_rng.pt", "a shard of Megatron: convert the checkpoint to Hugging Face's format"),
    (
        "*_model_states.pt",
        "a shard of DeepSpeed: run the checkpoint's zero_to_fp32.py with --safe_serialization",
    ),
    (
        "checkpoint_metadata.json",
        "a file of nanotron: convert the checkpoint to Hugging Face's format",
    ),
)
"""Files of checkpoints whose weights are divided among processes, here or one folder below."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
OTHER_FORMATS = ("*.gguf", "*.msgpack", "*.h5", "*.nemo", "*.onnx", "*.npz")
STATE_PICKLE = re.compile(
    r"(training_args|optimizer|optim|scheduler|scaler|rng_state|random_states|custom_checkpoint"
    r"|extra_state|recipe_state|data)([._-]|\d|$)"
)
"""Pickles that hold a training's state and no weights."""


def other_format(folder: Path) -> str | None:
    """In words what is in ``folder`` in place of safetensors weights; None if nothing looks like a
    checkpoint."""
    for path in sorted(folder.iterdir()):
        if path.name == "adapter_config.json" or ADAPTER.match(path.name):
            return f"{path.name} {MERGE_ADAPTER}"
    words = distributed(folder)
    if words is not None:
        return words
    for pattern, what in SHARDS:
        found = here_or_below(folder, pattern)
        if found:
            return f"{found[0].relative_to(folder)} is {what}"
    for pattern in OTHER_FORMATS:
        for path in sorted(folder.glob(pattern)):
            return f"{path.name} is no safetensors file; save the model as safetensors"
    return pickled(folder)


def here_or_below(folder: Path, pattern: str) -> list[Path]:
    """What fits in ``folder`` and in the folders in it."""
    return [*sorted(folder.glob(pattern)), *sorted(folder.glob(f"*/{pattern}"))]


def distributed(folder: Path) -> str | None:
    """In words that ``folder`` holds a checkpoint of torch.distributed (FSDP, prime-rl, Megatron);
    None if it does not."""
    shards = here_or_below(folder, "*.distcp")
    if not shards:
        return None
    first = shards[0].relative_to(folder)
    if not (shards[0].parent / ".metadata").is_file():
        return f"{first} is a shard, and .metadata, which is written last, is not beside it"
    return (
        f"{first} is a shard of a distributed checkpoint: merge the shards (accelerate "
        "merge-weights, or torch's dcp_to_torch) and save the model as safetensors"
    )


def pickled(folder: Path) -> str | None:
    """In words that ``folder`` holds its weights as a pickle, or a training's state without
    weights; None if it holds neither."""
    pickles = [path.name for pattern in PICKLES for path in sorted(folder.glob(pattern))]
    weights = [name for name in pickles if not STATE_PICKLE.match(name)]
    if weights:
        return f"{weights[0]} is a pickle, which is not opened; save it as safetensors"
    if pickles:
        return f"{pickles[0]} is the state of a training, and no weights are beside it"
    return None
