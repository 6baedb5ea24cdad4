"""What a training takes, before it starts: memory by what must be in it, steps, disk. Plain
arithmetic; no torch here.

No hours: what was measured (docs/performance.md) are CPUs, and trainings of the published size are
for GPUs, on which none has been timed.
"""

from __future__ import annotations

from engines.geography.config import Config
from engines.shared.geography.network.shapes import count
from engines.shared.geography.tasks import TASKS

FLOAT = 4
"""Bytes of a number: everything rests in float32."""


def estimate(config: Config, gpus: int, minutes: int) -> str | None:  # noqa: ARG001  # the contract
    """Memory without activations, steps where the number of questions is known, and checkpoints."""
    members, parameters = len(config.members), count(config.shape)
    models = "a model" if members == 1 else f"{members} models"
    each = " each" if members > 1 else ""
    # Weights, their gradients and AdamW's two moments.
    memory = 4 * FLOAT * members * parameters
    steps = steps_of(config)
    work = "" if steps is None else f"; {steps:,} steps of {config.batch_size} questions"
    return (
        f"{models} of {parameters:,} parameters{work}; {memory / 1e6:.3g} MB for weights, "
        f"gradients and moments, besides the states of a step; at most {checkpoints(config)} "
        f"checkpoints{each}, {disk_gb(config) * 1e3:.3g} MB of disk"
    )


def steps_of(config: Config) -> int | None:
    """Steps of the whole training; None where it asks for all rows of a set and for epochs of
    them."""
    rows = len(TASKS) * config.warmup_rows if config.warmup != "none" else 0
    for part in config.mixture:
        if part.rows == "all":
            return config.steps
        rows += len(part.names) * part.rows
    return config.steps_of(rows)[1]


def checkpoints(config: Config) -> int:
    """Checkpoints of each model, at most; none is deleted."""
    if isinstance(config.save_checkpoints, list):
        return len({*config.save_checkpoints}) + 1
    # As many whole shares as there are, and the last step.
    return int(1 / config.save_checkpoints + 1e-9) + 1


def disk_gb(config: Config) -> float:
    """Checkpoints, and two states to continue from: one is written while the other still lies
    there. Each state has the weights and both moments."""
    numbers = count(config.shape) * (checkpoints(config) + 2 * 3)
    return FLOAT * len(config.members) * numbers / 1e9
