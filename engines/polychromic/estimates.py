"""What a training takes, before it starts: steps, tokens, FLOP, disk. Plain arithmetic; no torch.

In: the checked config. Out: a line for people, and GB of disk; None while the base or the data are
not here yet.
"""

from __future__ import annotations

import math
from math import prod
from pathlib import Path
from typing import Any

from engines.contract.checkpoints import CheckpointSource
from engines.contract.config import ConfigError
from engines.contract.formats.weights import shapes_of
from engines.polychromic.config import Config
from engines.shared.replies.rows import read_manifest

A100 = 312e12
"""Dense bfloat16 FLOP/s of an A100, from its maker's data sheet: the login node does not know which
GPU Slurm will give."""
UTILISATION = 0.35
"""Assumed share of the peak that training reaches; 0.3 to 0.5 is usual."""
BYTES = 4
"""Of what is trained: float32, as are AdamW's two moments."""


def estimate(config: Config, gpus: int, minutes: int) -> str | None:
    """Steps, tokens and FLOP of a training, at most, and what part of the tokens the diversity term
    adds; on a GPU hours of an A100, and how often a limit of ``minutes`` interrupts it. None if not
    known."""
    rows = training_rows(config)
    shapes = base_shapes(config)
    if rows is None or shapes is None:
        return None
    _, steps = config.steps_of(rows)
    plain = steps * config.batch_size * config.max_tokens
    sampled = sampled_tokens(config, steps)
    parameters = sum(map(prod, shapes.values()))
    # 2 FLOP per parameter and token forward and 4 backward; frozen weights need no gradient of
    # their own, which is 2 of the 4. A sampled token is computed once more, forward.
    backward = 2 if config.lora is not None else 4
    flop = parameters * ((2 + backward) * (plain + sampled) + 2 * sampled)
    term = f" ({sampled:,} for samples)" if sampled else ""
    told = (
        f"at most {steps:,} steps, {plain + sampled:,} tokens through the trainer{term}, "
        f"{flop:.2g} FLOP"
    )
    if gpus:
        # A training uses one GPU, however many it has.
        hours = flop / (A100 * UTILISATION) / 3600
        told += f", {hours:,.1f} hours of an A100 at {UTILISATION:.0%} of its peak"
        if hours * 60 > minutes:
            told += f"; with a time limit of {minutes / 60:g} h it is started "
            told += f"{math.ceil(hours * 60 / minutes)} times or more"
    return f"{told}; evaluations and waiting for single tokens come on top"


def disk_gb(config: Config) -> float | None:
    """Disk that checkpoints and the state take at most, GB; None while the base is not here."""
    shapes = base_shapes(config)
    if shapes is None:
        return None
    trained = trained_parameters(config, shapes)
    # The newest and the best ones, and the one that is being written; then two states, each with
    # two moments.
    models = config.keep_checkpoints + 3
    return BYTES * trained * (models + 2 * 3) / 1e9


def sampled_tokens(config: Config, steps: int) -> int:
    """Tokens of the samples of a training and of their prompts, if all are as long as they may
    be."""
    term = config.diversity
    if not term.sampled:
        return 0
    drawn = -(-steps // term.every_steps) * term.prompts_per_step * term.samples
    return drawn * (config.max_tokens + term.max_new_tokens)


def training_rows(config: Config) -> int | None:
    """Rows of the training split."""
    try:
        return read_manifest(config.data).counts["train"]
    except ConfigError:
        # An earlier job of the run has still to make them.
        return None


def base_shapes(config: Config) -> dict[str, Any] | None:
    """Shape of each tensor of the base."""
    if isinstance(config.model, CheckpointSource):
        # Any of the job's checkpoints will do: they have the same shapes.
        found = sorted(Path(config.model.folder).glob("checkpoints/[!.]*/model/config.json"))
        if not found:
            return None
        folder = found[0].parent
    else:
        folder = Path(config.model)
    shapes = shapes_of(folder) if (folder / "config.json").is_file() else "not here"
    return None if isinstance(shapes, str) else dict(shapes)


def trained_parameters(config: Config, shapes: dict[str, Any]) -> int:
    """Numbers that are trained: two thin matrices beside each adapted one, and whole modules."""
    if config.lora is None:
        return sum(map(prod, shapes.values()))
    count = 0
    for name, shape in shapes.items():
        owner = name.removesuffix(".weight").rpartition(".")[2]
        wanted = config.lora.target_modules
        if owner in config.lora.modules_to_save:
            count += prod(shape)
        elif ".layers." in name and len(shape) == 2 and (wanted is None or owner in wanted):
            count += config.lora.rank * sum(shape)
    return count
