"""Where a training stands, on disk: checkpoints for others, and one state to continue from.

``checkpoints/step-N/model`` is an adapter or a whole model; ``checkpoints/best`` leads to that of
the lowest validation cross-entropy, ``checkpoints/best_unique_valid`` is a copy of the one with
the most different valid samples. The state lies in ``resume/checkpoints/``.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from engines.contract import checkpoints
from engines.contract.checkpoints import Checkpoint, Description
from engines.contract.config import ConfigError, same_config
from engines.contract.files import write_json
from engines.polychromic.config import Config
from engines.polychromic.model import Model
from engines.polychromic.step import Stepper
from engines.polychromic.validation import Evaluation

RANK_BY = "validation_cross_entropy"
BEST_UNIQUE_VALID = "best_unique_valid"
STATE_FILE = "loop.safetensors"
MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW keeps of each parameter."""


@dataclass
class Point:
    """Where the loop stands."""

    step: int = 0
    ended: bool = False
    """Early stopping has ended the training."""
    evaluations: list[Evaluation] = field(default_factory=list)
    warnings: dict[str, str] = field(default_factory=dict)
    """Red flags by name, as sentences."""


def find_start(config: Config, out: Path, stepper: Stepper) -> Point:
    """The newest complete state below ``out``, its weights and moments put in place; else step 0.
    ConfigError if config or base has changed."""
    found = checkpoints.complete(out / "resume")
    if not found:
        clean(out, -1)
        return Point()
    newest = found[-1]
    loop = json.loads((newest.path / "state" / "loop.json").read_text())
    same_config(config, loop["config"], newest.path)
    base = stepper.setting.model.base
    if loop["base"] != base.fingerprint:
        raise ConfigError(
            f"{newest.path}: was made from another base (fingerprint {loop['base'][:12]}, now "
            f"{base.fingerprint[:12]} in {base.folder}); restore it, or give a new --out folder"
        )
    put_state(newest, stepper)
    evaluations = [Evaluation(**values) for values in loop["evaluations"]]
    clean(out, newest.manifest.step)
    return Point(newest.manifest.step, loop["ended"], evaluations, loop["warnings"])


def clean(out: Path, step: int) -> None:
    """Remove checkpoints of a start that was killed after its last state: they are made again, and
    until then they would count when the oldest ones are dropped."""
    for one in checkpoints.complete(out):
        if one.manifest.step > step and one.manifest.name != BEST_UNIQUE_VALID:
            shutil.rmtree(one.path)
    (out / "checkpoints" / checkpoints.BEST).unlink(missing_ok=True)
    checkpoints.mark_best(out)


def put_state(newest: Checkpoint, stepper: Stepper) -> None:
    """Weights and moments of a state; ConfigError if it is of another model."""
    from safetensors.torch import load_file

    state = load_file(newest.model / STATE_FILE)
    named = stepper.setting.model.parameters
    wanted = {f"{kind}/{name}" for name in named for kind in ("weight", *MOMENTS)}
    if wanted != state.keys():
        name = min(wanted ^ state.keys())
        raise ConfigError(
            f"{newest.path}: does not hold what this model trains ({name}); give a new --out folder"
        )
    for name, parameter in named.items():
        with torch.no_grad():
            parameter.copy_(state[f"weight/{name}"])
        # AdamW counts its updates by parameter, as float32 on the parameter's device.
        count = torch.tensor(float(newest.manifest.step), device=parameter.device)
        moments = {kind: state[f"{kind}/{name}"].to(parameter.device) for kind in MOMENTS}
        stepper.optimizer.state[parameter] = {"step": count, **moments}


def save_state(config: Config, out: Path, point: Point, stepper: Stepper) -> None:
    """Save a state to continue from, drop the one before it."""
    from safetensors.torch import save_file

    model, moments = stepper.setting.model, stepper.optimizer.state

    def write(folder: Path) -> None:
        (folder / "model").mkdir()
        (folder / "state").mkdir()
        tensors: dict[str, torch.Tensor] = {}
        for name, parameter in model.parameters.items():
            tensors[f"weight/{name}"] = parameter.detach().contiguous()
            for kind in MOMENTS:
                # Before the first step there are none yet.
                tensors[f"{kind}/{name}"] = moments[parameter].get(
                    kind, torch.zeros_like(parameter)
                )
        save_file(tensors, folder / "model" / STATE_FILE)
        loop: dict[str, Any] = asdict(point)
        del loop["step"]
        loop |= {"config": config.model_dump(mode="json"), "base": model.base.fingerprint}
        write_json(folder / "state" / "loop.json", loop)

    description = Description(
        name=f"step-{point.step:08d}", step=point.step, epoch=0, metrics={}, format="state_dict"
    )
    checkpoints.save(out / "resume", description, write)
    checkpoints.rotate(out / "resume", 1)


def publish(
    config: Config, out: Path, point: Point, epoch: int, model: Model, probe: dict[str, Any]
) -> None:
    """Save the checkpoint of the newest evaluation, and again under its own name if it has the most
    different valid samples so far; drop what is superseded."""
    newest = point.evaluations[-1]
    metrics = {RANK_BY: newest.cross_entropy}
    if newest.unique_valid is not None:
        metrics["unique_valid"] = newest.unique_valid

    def save(name: str, rank_by: str | None) -> None:
        description = Description(
            name=name,
            step=point.step,
            epoch=epoch,
            metrics=metrics,
            format="adapter" if model.adapted else "huggingface",
            rank_by=rank_by,
            probe=probe,
            base={"folder": str(model.base.folder), "fingerprint": model.base.fingerprint}
            if model.adapted
            else None,
        )
        checkpoints.save(out, description, lambda folder: model.write(folder / "model"))

    save(f"step-{point.step:08d}", RANK_BY)
    trained = [one.unique_valid for one in point.evaluations if one.step > 0]
    known = [value for value in trained if value is not None]
    # Of equals the earliest.
    if known and known[-1] > max(known[:-1], default=-1.0):
        # It is not ranked: `best` is by cross-entropy.
        save(BEST_UNIQUE_VALID, None)
    drop_old(out, config.keep_checkpoints)


def drop_old(out: Path, keep: int) -> None:
    """Keep the newest checkpoints and the best ones by each measure."""
    ranked = checkpoints.with_rank(checkpoints.complete(out))
    best = checkpoints.best(ranked)
    for one in ranked[:-keep]:
        if one.path != best.path:
            shutil.rmtree(one.path)
