"""Load a Hugging Face model all of whose weights come from its folder.

In: a folder. Out: transformers' model, or one line that says what the folder lacks. Called by
whatever trains a model, merges adapters into one, or embeds texts by one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError
from engines.shared.model_shapes import several

UNUSED = "pooler."
"""Models that pool have a layer more than those that they are often saved from; nothing here asks
for what it says."""


def whole_model(kind: Any, folder: Path, **options: Any) -> Any:
    """``kind.from_pretrained``, with its options. ConfigError where weights are missing, or have
    other shapes than config.json says: transformers draws those at random and goes on."""
    model, found = kind.from_pretrained(
        folder,
        local_files_only=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # told below, in one line
        **options,
    )
    missing = sorted(name for name in found["missing_keys"] if not name.startswith(UNUSED))
    if missing:
        others = sorted(found["unexpected_keys"])
        instead = f"; it has {several(others)} that the model has no place for" if others else ""
        raise ConfigError(
            f"{folder}: the weights lack {several(missing)}, which its config.json asks "
            f"for{instead}; save the model again, under the names that transformers gives"
        )
    for name, has, wanted in sorted(found["mismatched_keys"]):
        raise ConfigError(
            f"{folder}: {name} has the shape {list(has)}, not {list(wanted)} as its "
            "config.json says"
        )
    return model
