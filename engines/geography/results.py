"""The rows of ``results.json``: how well each model's best and last checkpoint know the validation
questions.

Which answers are how far off is for the engine that evaluates; this one only tells checkpoints
apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from engines.contract import checkpoints
from engines.contract.results import Row
from engines.geography.resume import RANK_BY, label, sources
from engines.geography.step import Setting
from engines.geography.validation import Judged, judge
from engines.shared.geography.network.model import Parameters
from engines.shared.geography.network.shapes import count
from engines.shared.geography.network.weights import read_model
from engines.shared.reporting.statistics import standard_error
from engines.shared.training.resume import Point, member_folder

Axes = dict[str, str | int | float | bool]


def result_rows(setting: Setting, out: Path, point: Point) -> list[Row]:
    """Rows of every model, the best and the last checkpoint beside each other."""
    config = setting.config
    rows = [Row(metric="parameters", value=float(count(config.shape)), n=1)]
    for seed in config.members:
        axes: Axes = {"seed": seed} if len(config.members) > 1 else {}
        broken = point.diverged.get(label(seed))
        if broken:
            n = len(setting.data.validation)
            rows.append(Row(metric=RANK_BY, value=None, n=n, axes=axes, error=broken))
            continue
        kept = checkpoints.complete(member_folder(out, label(seed), len(config.members)))
        for name, one in (("best", checkpoints.best(kept)), ("last", kept[-1])):
            own = {**axes, "checkpoint": name}
            rows += checkpoint_rows(setting, read_model(one.model)[1], own)
            rows.append(Row(metric="steps", value=float(one.manifest.step), n=1, axes=own))
    return rows


def checkpoint_rows(setting: Setting, parameters: Parameters, axes: Axes) -> list[Row]:
    """One model: each set alone, then the mean over sets."""
    on_device = {name: tensor.to(setting.device) for name, tensor in parameters.items()}
    data = setting.data
    judged = judge(on_device, setting.config.shape, data.validation, setting.device)
    rows = []
    for metric, values in metrics_of(judged).items():
        means = []
        for number, name in enumerate(data.sets):
            own = values[0, data.set_of == number].astype(float)
            task, cities = name.split(".")
            error = standard_error(own.tolist()) if len(own) > 1 else None
            means.append(float(own.mean()))
            place: Axes = {**axes, "task": task, "cities": cities}
            rows.append(Row(metric=metric, value=means[-1], n=len(own), spread=error, axes=place))
        rows.append(Row(metric=metric, value=float(np.mean(means)), n=len(means), axes=axes))
    return rows


def metrics_of(judged: Judged) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """By name, (S, n)."""
    return {RANK_BY: judged.losses, "validation_exact_match": judged.right}


def facts(setting: Setting, point: Point) -> dict[str, Any]:
    """What a report says of a training beside its rows."""
    config, train = setting.config, setting.data.train
    lengths = train.lengths.astype(np.int64)
    return {
        "shape": config.shape.model_dump(),
        "rows": len(train),
        "distinct_rows": setting.data.distinct,
        "tokens_per_row": float(lengths.mean()),
        "steps": point.step,
        "steps_per_epoch": setting.steps_per_epoch,
        "initial": [str(one.manifest.fingerprint) for one in sources(config)],
        "device": str(setting.device),
        "precision": str(setting.precision).removeprefix("torch."),
        "attribution": setting.data.attribution,
        "versions": {"torch": torch.__version__},
    }
