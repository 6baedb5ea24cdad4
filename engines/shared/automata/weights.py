"""A model on disk: ``model.safetensors`` and, beside it, what it takes to build the model again."""

from __future__ import annotations

import json
from pathlib import Path

from engines.contract.config import ConfigError
from engines.contract.files import write_json
from engines.shared.automata.description import Architecture, DataSet
from engines.shared.automata.models import Parameters, shapes


def write_weights(
    folder: Path, parameters: Parameters, architecture: Architecture, data: DataSet
) -> None:
    """Write the weights of one model, or of several with a leading axis, and ``model.json``
    (architecture, data set)."""
    from safetensors.torch import save_file

    folder.mkdir()
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in parameters.items()},
        folder / "model.safetensors",
    )
    write_json(
        folder / "model.json",
        {"architecture": architecture.model_dump(), "data": data.model_dump()},
    )


def read_weights(folder: Path) -> Parameters:
    """The weights in the order of use, on the CPU; ConfigError if the folder holds no such
    model."""
    from safetensors.torch import load_file

    architecture, data = read_description(folder)
    found = load_file(folder / "model.safetensors")
    return {name: found[name] for name in shapes(architecture, data.machines.states)}


def read_description(folder: Path) -> tuple[Architecture, DataSet]:
    """Architecture of a model on disk, and the data set that it was trained on."""
    path = folder / "model.json"
    if not path.is_file():
        raise ConfigError(
            f"{folder}: no model.json: not a checkpoint of a model that learned "
            "finite-state machines"
        )
    document = json.loads(path.read_text())
    return Architecture.model_validate(document["architecture"]), DataSet.model_validate(
        document["data"]
    )
