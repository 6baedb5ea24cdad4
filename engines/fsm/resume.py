"""Where a run stands, on disk: checkpoints of each model for others, and one state of all models to
continue from.

A run of one model keeps ``checkpoints/`` like every engine; of several, each has its own below
``models/<member>/``, so that a later job names one of them by its folder. The state lies in
``resume/checkpoints/``. A checkpoint's ``model/`` holds ``model.safetensors`` and ``model.json``
(architecture and data set).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch

from engines.contract import checkpoints
from engines.contract.config import ConfigError, same_config
from engines.contract.files import write_json
from engines.fsm.config import Config, Member
from engines.shared.automata.models import initial
from engines.shared.automata.weights import read_weights, write_weights
from engines.shared.training.optimizer import Flat

RANK_BY = "validation_accuracy"


@dataclass
class Point:
    """Where the loop stands."""

    flat: Flat
    losses: torch.Tensor
    """Sum of each model's losses since the epoch began, (S,)."""
    step: int = 0
    diverged: dict[str, str] = field(default_factory=dict)
    """Models whose numbers are no longer finite -> since when."""


def label(member: Member, config: Config) -> str:
    """``seed-0``, with the learning rate where there are several."""
    rate = (
        f"_learning_rate-{member.learning_rate:g}" if isinstance(config.learning_rate, list) else ""
    )
    return f"seed-{member.seed}{rate}"


def member_folder(out: Path, member: Member, config: Config) -> Path:
    """Where a model's checkpoints lie."""
    return out if len(config.members) == 1 else out / "models" / label(member, config)


def find_start(config: Config, out: Path, device: torch.device) -> Point:
    """The newest complete state below ``out``, else fresh or given weights at step 0. ConfigError
    if the config has changed."""
    found = checkpoints.complete(out / "resume")
    if not found:
        flat = Flat.of(start_weights(config), device)
        return Point(flat, torch.zeros(len(config.members), device=device))
    newest = found[-1]
    loop = json.loads((newest.path / "state" / "loop.json").read_text())
    same_config(config, loop["config"], newest.path)
    from safetensors.torch import load_file

    # The model folder of a state holds all models, stacked.
    flat = Flat.of(read_weights(newest.model), device)
    state = load_file(newest.path / "state" / "loop.safetensors")
    flat.first.copy_(state["first"])
    flat.second.copy_(state["second"])
    return Point(flat, state["losses"].to(device), newest.manifest.step, loop["diverged"])


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


def save_state(config: Config, out: Path, point: Point, epoch: int) -> None:
    """Save a state to continue from, drop the one before it."""
    from safetensors.torch import save_file

    def write(folder: Path) -> None:
        write_weights(folder / "model", point.flat.named(), config.model, config.data_set)
        (folder / "state").mkdir()
        save_file(
            {"first": point.flat.first, "second": point.flat.second, "losses": point.losses},
            folder / "state" / "loop.safetensors",
        )
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


def publish(config: Config, out: Path, point: Point, epoch: int, accuracies: list[float]) -> None:
    """Save the checkpoint of an epoch for each model that is still finite, drop what is
    superseded."""
    named = point.flat.named()
    for index, (member, accuracy) in enumerate(zip(config.members, accuracies, strict=True)):
        # Its last finite checkpoint stays the one that others find.
        if label(member, config) in point.diverged:
            continue
        folder = member_folder(out, member, config)
        own = {name: tensor[index] for name, tensor in named.items()}

        # `own` as a default value: a closure would see the last member's.
        def write(target: Path, own: dict[str, torch.Tensor] = own) -> None:
            write_weights(target / "model", own, config.model, config.data_set)

        description = checkpoints.Description(
            name=f"epoch-{epoch:06d}",
            step=point.step,
            epoch=epoch,
            metrics={RANK_BY: accuracy},
            rank_by=RANK_BY,
            format="state_dict",
        )
        checkpoints.save(folder, description, write)
        checkpoints.rotate(folder, config.keep_checkpoints)
