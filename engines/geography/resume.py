"""Where a run stands, on disk: what of it is this engine's own.

Where everything lies, and the state to continue from, is ``engines/shared/training/resume.py``. A
checkpoint's ``model/`` is a Hugging Face folder.
"""

from __future__ import annotations

from pathlib import Path

import torch

from engines.contract import checkpoints
from engines.contract.checkpoints import Checkpoint, CheckpointSource
from engines.contract.config import ConfigError
from engines.geography.config import Config
from engines.shared.geography.network.model import Parameters, initial
from engines.shared.geography.network.weights import read_model, write_model
from engines.shared.geography.questions.origin import check_origin, note_origin
from engines.shared.training import resume
from engines.shared.training.optimizer import Flat
from engines.shared.training.resume import Point

RANK_BY = "validation_loss"


def label(seed: int) -> str:
    """What a model is called."""
    return f"seed-{seed}"


def find_start(config: Config, out: Path, device: torch.device) -> Point:
    """The newest complete state below ``out``, else fresh or given weights at step 0. ConfigError
    if the config has changed."""
    found = resume.find_state(config, out, device)
    if found is not None:
        return found
    flat = Flat.of(start_weights(config), device, matrices_alone=True)
    return Point(flat, torch.zeros(len(config.members), device=device))


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


def publish(config: Config, out: Path, point: Point, epoch: int, losses: list[float]) -> None:
    """Save a checkpoint of each model that is still finite, with its validation loss."""
    models = {
        label(seed): checkpoints.Description(
            name=f"step-{point.step:08d}",
            step=point.step,
            epoch=epoch,
            metrics={RANK_BY: loss},
            rank_by=RANK_BY,
        )
        for seed, loss in zip(config.members, losses, strict=True)
    }

    def write(folder: Path, own: Parameters) -> None:
        write_model(folder, config.shape, own)
        note_origin(folder, Path(config.data))

    resume.publish(out, point, models, write)
