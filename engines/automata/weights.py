"""A model on disk: ``model.safetensors`` and, beside it, what it takes to build the model again."""

from __future__ import annotations

import json
from pathlib import Path

from engines.automata import Architecture
from engines.automata.models import Parameters, shapes
from engines.io import ConfigError, write_json


def write_weights(folder: Path, parameters: Parameters, architecture: Architecture, states: int) -> None:
    """Write the weights of one model, or of several with a leading axis, and ``model.json``."""
    from safetensors.torch import save_file

    folder.mkdir()
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in parameters.items()}, folder / "model.safetensors")
    write_json(folder / "model.json", {"architecture": architecture.model_dump(), "states": states})


def read_weights(folder: Path) -> Parameters:
    """The weights in the order of use, on the CPU; ConfigError if the folder holds no such model."""
    from safetensors.torch import load_file

    architecture, states = read_architecture(folder)
    found = load_file(folder / "model.safetensors")
    return {name: found[name] for name in shapes(architecture, states)}


def read_architecture(folder: Path) -> tuple[Architecture, int]:
    """Architecture and number of states of a model on disk."""
    path = folder / "model.json"
    if not path.is_file():
        raise ConfigError(f"{folder}: no model.json: not a checkpoint of a model that learned finite-state machines")
    document = json.loads(path.read_text())
    return Architecture.model_validate(document["architecture"]), int(document["states"])
