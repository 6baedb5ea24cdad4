"""The rows of ``results.json``: where the checkpoints stand, and how the training went.

How different and how good the replies of a finished model are is for the engine that evaluates;
these rows tell checkpoints apart and say what the term did.
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from engines.contract import checkpoints
from engines.contract.checkpoints import Checkpoint
from engines.contract.config import ConfigError
from engines.contract.progress import read_progress
from engines.contract.results import Row
from engines.polychromic.batches import Encoded
from engines.polychromic.resume import BEST_UNIQUE_VALID, RANK_BY, Point
from engines.polychromic.step import Setting
from engines.polychromic.watch import WINDOW
from engines.shared.replies.description import Manifest

OF_TRAINING = (
    "cross_entropy",
    "combined",
    "gradient_norm_quality",
    "gradient_norm_diversity",
    "gradient_cosine",
    "set_diversity",
    "sample_distance",
    "valid_share",
    "sample_tokens",
    "cut_share",
)
"""Metrics of steps that have rows: means over the first and the last steps that have them."""


def result_rows(setting: Setting, out: Path, validation_rows: int) -> list[Row]:
    """Rows of the checkpoints ``best``, ``last`` and ``best_unique_valid``, then of the training's
    beginning and end."""
    rows = [
        Row(metric="parameters", value=float(trained_parameters(setting)), n=1),
        Row(metric="lambda_effective", value=setting.config.diversity.weight, n=1),
    ]
    for name in ("best", "last", BEST_UNIQUE_VALID):
        try:
            found = checkpoints.named(out, name)
        except ConfigError:
            # Nothing was sampled in the evaluations.
            continue
        rows += checkpoint_rows(setting, name, found, validation_rows)
    lines = [line["metrics"] for line in read_progress(out) if line["phase"] == "train"]
    for metric in OF_TRAINING:
        values = [line[metric] for line in lines if metric in line]
        for moment, part in (("begin", values[:WINDOW]), ("end", values[-WINDOW:])):
            if part:
                own = {"moment": moment}
                rows.append(Row(metric=metric, value=fmean(part), n=len(part), axes=dict(own)))
    return rows


def checkpoint_rows(
    setting: Setting, name: str, found: Checkpoint, validation_rows: int
) -> list[Row]:
    """What its manifest says of a checkpoint."""
    metrics = found.manifest.metrics
    axes: dict[str, str | int | float | bool] = {"checkpoint": name}
    rows = [
        Row(metric="steps", value=float(found.manifest.step), n=1, axes=axes),
        Row(metric=RANK_BY, value=metrics[RANK_BY], n=validation_rows, axes=axes),
    ]
    prompts = setting.config.unique_valid_prompts
    if prompts is not None:
        n = min(prompts, validation_rows)
        rows.append(Row(metric="unique_valid", value=metrics["unique_valid"], n=n, axes=axes))
    return rows


def trained_parameters(setting: Setting) -> int:
    """How many numbers are trained."""
    return sum(one.numel() for one in setting.model.parameters.values())


def facts(
    setting: Setting, point: Point, manifest: Manifest, validation: Encoded
) -> dict[str, Any]:
    """What a report says of a training beside its rows."""
    config, train, model = setting.config, setting.train, setting.model
    term = config.diversity
    return {
        "steps": point.step,
        "steps_per_epoch": config.steps_of(len(train.replies))[0],
        "stopped_early": point.ended,
        "rows": {"train": len(train.replies), "validation": len(validation.replies)},
        "rows_left_out": {"train": train.left_out, "validation": validation.left_out},
        "reply_tokens_per_row": train.reply_tokens / len(train.replies),
        "warnings": list(point.warnings.values()),
        "base": {"folder": str(model.base.folder), "fingerprint": model.base.fingerprint},
        "format": "adapter" if model.adapted else "huggingface",
        "rank_by": {"best": RANK_BY, BEST_UNIQUE_VALID: "unique_valid"},
        "template": manifest.template.model_dump(),
        "checker": manifest.checker.model_dump(),
        "term": (
            f"every {term.every_steps} steps, times {term.every_steps} each time"
            if term.every_steps > 1
            else "every step"
        ),
        "device": str(model.device),
        "precision": str(model.inner.dtype).removeprefix("torch."),
        "versions": {"torch": torch.__version__},
    }
