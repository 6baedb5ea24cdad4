"""Where a run stands, on disk: what of it is this engine's own.

Where everything lies, and the state to continue from, is ``engines/shared/training/resume.py``. A
checkpoint's ``model/`` holds ``model.safetensors`` and ``model.json`` (architecture and data set).
"""

from __future__ import annotations

from pathlib import Path

import torch

from engines.contract import checkpoints
from engines.contract.config import ConfigError
from engines.fsm.config import Config, Member
from engines.shared.automata.models import initial
from engines.shared.automata.weights import read_weights, write_weights
from engines.shared.training import resume
from engines.shared.training.optimizer import Flat, Parameters
from engines.shared.training.resume import Point

RANK_BY = "validation_accuracy"


def label(member: Member, config: Config) -> str:
    """``seed-0``, with the learning rate where there are several."""
    rate = (
        f"_learning_rate-{member.learning_rate:g}" if isinstance(config.learning_rate, list) else ""
    )
    return f"seed-{member.seed}{rate}"


def find_start(config: Config, out: Path, device: torch.device) -> Point:
    """The newest complete state below ``out``, else fresh or given weights at step 0. ConfigError
    if the config has changed."""
    found = resume.find_state(config, out, device)
    if found is not None:
        return found
    flat = Flat.of(start_weights(config), device)
    return Point(flat, torch.zeros(len(config.members), device=device))


def start_weights(config: Config) -> dict[str, torch.Tensor]:
    """Fresh weights, or those of ``config.initial`` with the head's new rows fresh; (S, ...)
    each."""
    states = config.data_set.machines.states
    fresh = initial(
        config.model, states, [member.seed for member in config.members], config.embedding_scale
    )
    if config.initial is None:
        return fresh
    source = checkpoints.named(Path(config.initial.folder), config.initial.checkpoint)
    given = read_weights(source.model)
    unlike = [
        name
        for name in fresh.keys() | given.keys()
        if name not in fresh
        or name not in given
        or (name != "head" and fresh[name].shape[1:] != given[name].shape)
    ]
    if unlike or fresh["head"].shape[2] != given["head"].shape[1]:
        raise ConfigError(
            f"initial: {source.path} is another architecture than {config.architecture}: "
            f"{', '.join(sorted(unlike)[:3]) or 'head'} differ; train the same "
            "architecture there and here"
        )
    # Tokens mean the same for every size, so row k of the head is state k in both.
    known = min(len(given["head"]), states)
    for name, tensor in fresh.items():
        if name == "head":
            tensor[:, :known] = given[name][:known]
        else:
            tensor.copy_(given[name])
    return fresh


def publish(config: Config, out: Path, point: Point, epoch: int, accuracies: list[float]) -> None:
    """Save the checkpoint of an epoch for each model that is still finite, drop what is
    superseded."""
    models = {
        label(member, config): checkpoints.Description(
            name=f"epoch-{epoch:06d}",
            step=point.step,
            epoch=epoch,
            metrics={RANK_BY: accuracy},
            rank_by=RANK_BY,
            format="state_dict",
        )
        for member, accuracy in zip(config.members, accuracies, strict=True)
    }

    def write(folder: Path, own: Parameters) -> None:
        write_weights(folder, own, config.model, config.data_set)

    for folder in resume.publish(out, point, models, write):
        checkpoints.rotate(folder, config.keep_checkpoints)
