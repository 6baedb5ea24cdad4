"""Where a run of S models stands, on disk: checkpoints of each model for others, and one state of
all models to continue from.

In: an output folder and where the loop stands. Out: files below it, and back. Engines that train
models stacked call it. A run of one model keeps ``checkpoints/`` like every engine; of several,
each has its own below ``models/<label>/``, so that a later job names one of them by its folder. The
state lies in ``resume/checkpoints/``; nothing but the state is needed to go on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from engines.contract import checkpoints
from engines.contract.config import ConfigError, EngineConfig, same_config
from engines.contract.files import write_json
from engines.shared.training.optimizer import Flat, Parameters

TENSORS = "loop.safetensors"


@dataclass
class Point:
    """Where the loop stands."""

    flat: Flat
    losses: torch.Tensor
    """Sum of each model's losses since the last report, (S,)."""
    step: int = 0
    diverged: dict[str, str] = field(default_factory=dict)
    """Models whose numbers are no longer finite, by label -> since when."""


def member_folder(out: Path, label: str, members: int) -> Path:
    """Where the checkpoints of one of ``members`` models lie."""
    return out if members == 1 else out / "models" / label


def find_state(config: EngineConfig, out: Path, device: torch.device) -> Point | None:
    """The newest complete state below ``out``; None if there is none. ConfigError if the config has
    changed, or an older version wrote it."""
    found = checkpoints.complete(out / "resume")
    if not found:
        return None
    newest = found[-1]
    loop = json.loads((newest.path / "state" / "loop.json").read_text())
    same_config(config, loop["config"], newest.path)
    if "shapes" not in loop:
        raise ConfigError(
            f"{newest.path}: was made by an older version of the program; go on with that one, or "
            "give a new --out folder"
        )
    from safetensors.torch import load_file

    state = {name: tensor.to(device) for name, tensor in load_file(newest.model / TENSORS).items()}
    shapes = {name: tuple(shape) for name, shape in loop["shapes"].items()}
    moments = state["first"], state["second"]
    flat = Flat(state["values"].requires_grad_(), *moments, shapes, loop["decayed"])
    return Point(flat, state["losses"], newest.manifest.step, loop["diverged"])


def save_state(config: EngineConfig, out: Path, point: Point, epoch: int) -> None:
    """Save a state to continue from, drop the one before it."""
    from safetensors.torch import save_file

    flat = point.flat
    tensors = {"values": flat.values.detach(), "first": flat.first, "second": flat.second}
    loop = {
        "config": config.model_dump(mode="json"),
        "diverged": point.diverged,
        "shapes": flat.shapes,
        "decayed": flat.decayed,
    }

    def write(folder: Path) -> None:
        (folder / "model").mkdir()
        (folder / "state").mkdir()
        save_file({**tensors, "losses": point.losses}, folder / "model" / TENSORS)
        write_json(folder / "state" / "loop.json", loop)

    description = checkpoints.Description(
        name=f"step-{point.step:08d}",
        step=point.step,
        epoch=epoch,
        metrics={},
        format="state_dict",
    )
    checkpoints.save(out / "resume", description, write)
    checkpoints.rotate(out / "resume", 1)


def publish(
    out: Path,
    point: Point,
    models: dict[str, checkpoints.Description],
    write: Callable[[Path, Parameters], None],
) -> list[Path]:
    """Save a checkpoint of each model that is still finite; the folders in which those lie.

    Args:
        models: what is said of each, by label, in the order of the models.
        write: fills the folder of a model with it, given its parameters without the axis of models.
    """
    named, folders = point.flat.named(), []
    for index, (label, description) in enumerate(models.items()):
        # Its last finite checkpoint stays the one that others find.
        if label in point.diverged:
            continue
        own = {name: tensor[index] for name, tensor in named.items()}

        # `own` as a default value: a closure would see the last model's.
        def whole(folder: Path, own: Parameters = own) -> None:
            write(folder / "model", own)

        folder = member_folder(out, label, len(models))
        checkpoints.save(folder, description, whole)
        folders.append(folder)
    return folders
