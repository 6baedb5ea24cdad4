"""Where a run stands, on disk: checkpoints of each model for others, and one state of all models to
continue from.

A run of one model keeps ``checkpoints/`` like every engine; of several, each has its own below
``models/seed-N/``, so that a later job names one of them by its folder. A checkpoint's ``model/``
is a Hugging Face folder. The state lies in ``resume/checkpoints/``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch

from engines.contract import checkpoints
from engines.contract.checkpoints import Checkpoint, CheckpointSource
from engines.contract.config import ConfigError, same_config
from engines.contract.files import write_json
from engines.geography.config import Config
from engines.shared.geography.network.model import Parameters, initial
from engines.shared.geography.network.weights import read_model, write_model
from engines.shared.geography.questions.origin import check_origin, note_origin
from engines.shared.training.optimizer import Flat

RANK_BY = "validation_loss"
STATE_FILE = "loop.safetensors"


@dataclass
class Point:
    """Where the loop stands."""

    flat: Flat
    losses: torch.Tensor
    """Sum of each model's losses since the last report, (S,)."""
    step: int = 0
    diverged: dict[str, str] = field(default_factory=dict)
    """Models whose numbers are no longer finite -> since when."""


def label(seed: int) -> str:
    """What a model is called."""
    return f"seed-{seed}"


def member_folder(out: Path, seed: int, config: Config) -> Path:
    """Where a model's checkpoints lie."""
    return out if len(config.members) == 1 else out / "models" / label(seed)


def find_start(config: Config, out: Path, device: torch.device) -> Point:
    """The newest complete state below ``out``, else fresh or given weights at step 0. ConfigError
    if the config has changed."""
    found = checkpoints.complete(out / "resume")
    flat = Flat.of(start_weights(config), device, matrices_alone=True)
    losses = torch.zeros(len(config.members), device=device)
    if not found:
        return Point(flat, losses)
    newest = found[-1]
    loop = json.loads((newest.path / "state" / "loop.json").read_text())
    same_config(config, loop["config"], newest.path)
    from safetensors.torch import load_file

    state = load_file(newest.model / STATE_FILE)
    with torch.no_grad():
        flat.values.copy_(state["values"])
    flat.first.copy_(state["first"])
    flat.second.copy_(state["second"])
    losses.copy_(state["losses"])
    return Point(flat, losses, newest.manifest.step, loop["diverged"])


def start_weights(config: Config) -> Parameters:
    """Fresh weights, or those of ``config.initial``; (S, ...) each. ConfigError if they are of
    another shape or learned from other data."""
    if config.initial is None:
        return initial(config.shape, config.members, config.initial_deviation)
    models = []
    for one in sources(config):
        check_origin(one.model, Path(config.data))
        shape, parameters = read_model(one.model)
        if shape != config.shape:
            raise ConfigError(
                f"initial: {one.path} is a model of {shape.model_dump()}, and the config says "
                f"shape: {config.shape.model_dump()}; give the same shape here"
            )
        models.append(parameters)
    return {name: torch.cat([one[name] for one in models]) for name in models[0]}


def sources(config: Config) -> list[Checkpoint]:
    """The checkpoint that each model starts from, in the order of the seeds; none if fresh."""
    if config.initial is None:
        return []
    given = config.initial
    if isinstance(given, CheckpointSource):
        given = [given] * len(config.members)
    found = []
    for seed, source in zip(config.members, given, strict=True):
        folder = Path(source.folder)
        # A job of several seeds: each goes on from the model of its own.
        if (folder / "models").is_dir():
            folder = folder / "models" / label(seed)
        found.append(checkpoints.named(folder, source.checkpoint))
    return found


def save_state(config: Config, out: Path, point: Point, epoch: int) -> None:
    """Save a state to continue from, drop the one before it."""
    from safetensors.torch import save_file

    def write(folder: Path) -> None:
        (folder / "model").mkdir()
        (folder / "state").mkdir()
        flat = point.flat
        tensors = {"values": flat.values.detach(), "first": flat.first, "second": flat.second}
        save_file({**tensors, "losses": point.losses}, folder / "model" / STATE_FILE)
        write_json(
            folder / "state" / "loop.json",
            {"config": config.model_dump(mode="json"), "diverged": point.diverged},
        )

    description = checkpoints.Description(
        name=f"step-{point.step:08d}",
        step=point.step,
        epoch=epoch,
        metrics={},
        format="state_dict",
    )
    checkpoints.save(out / "resume", description, write)
    checkpoints.rotate(out / "resume", 1)


def publish(config: Config, out: Path, point: Point, epoch: int, losses: list[float]) -> None:
    """Save a checkpoint of each model that is still finite, with its validation loss."""
    named = point.flat.named()
    for index, (seed, loss) in enumerate(zip(config.members, losses, strict=True)):
        # Its last finite checkpoint stays the one that others find.
        if label(seed) in point.diverged:
            continue
        own = {name: tensor[index] for name, tensor in named.items()}

        # `own` as a default value: a closure would see the last member's.
        def write(target: Path, own: Parameters = own) -> None:
            write_model(target / "model", config.shape, own)
            note_origin(target / "model", Path(config.data))

        description = checkpoints.Description(
            name=f"step-{point.step:08d}",
            step=point.step,
            epoch=epoch,
            metrics={RANK_BY: loss},
            rank_by=RANK_BY,
        )
        checkpoints.save(member_folder(out, seed, config), description, write)
