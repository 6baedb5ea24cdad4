"""What a training takes, before it starts: steps, tokens, FLOP, disk. Plain arithmetic; no torch.

In: the checked config. Out: a line for people, and GB of disk; None where no size is known.
"""

from __future__ import annotations

import math
import re
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
A100_BYTES = 2.0e12
"""Bytes per second that an A100 with 80 GB reads, from the same sheet."""
HALF = 2
"""Bytes of a weight in bfloat16."""
SIZE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)([BM])(?![a-z])", re.IGNORECASE)
SCALE = {"M": 1e6, "B": 1e9}
BYTES = 4
"""Of what is trained: float32, as are AdamW's two moments."""


def estimate(config: Config, gpus: int, minutes: int) -> str | None:
    """Steps, tokens and FLOP of a training, at most, and what part of the tokens the diversity term
    adds; on a GPU hours of an A100, and how often a limit of ``minutes`` interrupts it.

    Of rows that an earlier job has still to make, for each 1,000; a model that is not here is as
    large as its name says. None where no size is known.
    """
    parameters = size_of(config)
    if parameters is None:
        return None
    rows = training_rows(config)
    _, steps = config.steps_of(rows or 1000)
    plain = steps * config.batch_size * config.max_tokens
    sampled = sampled_tokens(config, steps)
    # 2 FLOP per parameter and token forward and 4 backward; frozen weights need no gradient of
    # their own, which is 2 of the 4. A sampled token is computed once more, forward.
    backward = 2 if config.lora is not None else 4
    flop = parameters * ((2 + backward) * (plain + sampled) + 2 * sampled)
    term = f" ({sampled:,} for samples)" if sampled else ""
    told = (
        f"at most {steps:,} steps, {plain + sampled:,} tokens through the trainer{term}, "
        f"{flop:.2g} FLOP"
    )
    if rows is None and config.steps is None:
        told = f"for each 1,000 rows {told}"
    if gpus:
        told += hours_of(config, parameters, flop, steps, minutes)
    return f"{told}; evaluations come on top"


def hours_of(config: Config, parameters: int, flop: float, steps: int, minutes: int) -> str:
    """Hours of an A100 at an assumed share of its peak, and the least that single tokens take: each
    reads all weights once. A training uses one GPU, however many it has."""
    computed = flop / (A100 * UTILISATION) / 3600
    term = config.diversity
    tokens = -(-steps // term.every_steps) * term.max_new_tokens if term.sampled else 0
    drawn = tokens * parameters * HALF / A100_BYTES / 3600
    told = f", {computed:,.1f} hours of an A100 at {UTILISATION:.0%} of its peak"
    if drawn:
        told += f" and at least {drawn:,.1f} for drawing samples"
    if (computed + drawn) * 60 > minutes:
        times = math.ceil((computed + drawn) * 60 / minutes)
        told += f"; with a time limit of {minutes / 60:g} h it is started {times} times or more"
    return told


def size_of(config: Config) -> int | None:
    """Parameters of the base: of its files, else of a name such as ``Qwen3-8B``."""
    shapes = base_shapes(config)
    if shapes is not None:
        return sum(map(prod, shapes.values()))
    if isinstance(config.model, CheckpointSource):
        return None
    named = SIZE.search(config.model.rpartition("/")[2])
    return None if named is None else int(float(named[1]) * SCALE[named[2].upper()])


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
