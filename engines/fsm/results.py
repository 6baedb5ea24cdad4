"""The rows of ``results.json``: each model's test accuracy beside what could be known and what
guessing gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from engines.contract import checkpoints
from engines.contract.results import Row
from engines.fsm.accuracy import judge
from engines.fsm.config import Config, Member
from engines.fsm.resume import label
from engines.shared.automata import baselines
from engines.shared.automata.batches import Store
from engines.shared.automata.data import Array, Data, fixed_order
from engines.shared.automata.models import Model, Parameters, count
from engines.shared.automata.weights import read_weights
from engines.shared.reporting.statistics import ratio
from engines.shared.training.resume import Point, member_folder

BLOCK = 8
"""Transitions of the query that make one line of the accuracy by position."""

Axes = dict[str, str | int | float | bool]


def accuracy_row(metric: str, right: Array, axes: Axes) -> Row:
    """Accuracy over all scored next states of (N, K), nan where there is none; the standard error
    is over the N sequences."""
    # Sequences whose query is too short for this block have no say in it.
    rows = right[~np.isnan(right).all(axis=1)]
    value, error = ratio(np.nansum(rows, axis=1), (~np.isnan(rows)).sum(axis=1).astype(float))
    return Row(metric=metric, value=value, n=len(rows), spread=error, axes=axes)


def by_position(metric: str, right: Array, axes: Axes) -> list[Row]:
    """One row per block of the query: ``position`` is the block's first transition, counted from
    1."""
    return [
        accuracy_row(metric, right[:, start : start + BLOCK], {**axes, "position": start + 1})
        for start in range(0, right.shape[1], BLOCK)
    ]


def what_is_known(config: Config, data: Data, order: Array) -> tuple[list[Row], float]:
    """The ceiling (over all and by position), counting and chance on the test sequences; and the
    ceiling itself."""
    states = config.data_set.machines.states
    known = baselines.exact(data.test, order, config.data_set)
    rows = [
        accuracy_row("ceiling_accuracy", known, {}),
        Row(metric="chance_accuracy", value=1 / states, n=len(data.test)),
        *(
            accuracy_row(
                "counting_accuracy", baselines.counting(data.test, order, states, by), {"by": by}
            )
            for by in ("state", "action", "nothing")
        ),
        *by_position("ceiling_accuracy", known, {}),
    ]
    return rows, float(rows[0].value or 0.0)


def member_axes(member: Member, config: Config) -> Axes:
    """What tells a model apart within its job; nothing if it is the only one."""
    axes: Axes = {"seed": member.seed} if len(config.members) > 1 else {}
    return (
        {**axes, "learning_rate": member.learning_rate}
        if isinstance(config.learning_rate, list)
        else axes
    )


def best_weights(config: Config, out: Path, point: Point) -> Parameters:
    """Weights of each model's best checkpoint, (S, ...); of a diverged model without one the last
    weights, which nobody reads."""
    last = point.flat.named()
    found: list[dict[str, torch.Tensor]] = []
    for index, member in enumerate(config.members):
        kept = checkpoints.complete(member_folder(out, label(member, config), len(config.members)))
        found.append(
            read_weights(checkpoints.best(kept).model)
            if kept
            else {n: t[index].detach().cpu() for n, t in last.items()}
        )
    return {
        name: torch.stack([one[name] for one in found]).to(point.losses.device) for name in last
    }


def result_rows(config: Config, out: Path, data: Data, model: Model, point: Point) -> list[Row]:
    """Judge the best and the last weights of every model on the test machines."""
    order = fixed_order(data.test, config.data_set, "test")
    store = Store(data.test, point.losses.device)
    rows, ceiling = what_is_known(config, data, order)
    for name, weights in (("best", best_weights(config, out, point)), ("last", point.flat.named())):
        right = judge(model, weights, store, order)
        for index, member in enumerate(config.members):
            axes: Axes = {**member_axes(member, config), "checkpoint": name}
            broken = point.diverged.get(label(member, config))
            if broken:
                n = len(data.test)
                rows.append(Row(metric="test_accuracy", value=None, n=n, axes=axes, error=broken))
                continue
            accuracy = accuracy_row("test_accuracy", right[index], axes)
            rows += [accuracy, ceiling_share(accuracy, ceiling)]
            if name == "best":
                rows += by_position("test_accuracy", right[index], axes)
    parameters = count(config.model, config.data_set.machines.states)
    rows.append(Row(metric="parameters", value=float(parameters), n=1))
    return rows


def ceiling_share(accuracy: Row, ceiling: float) -> Row:
    """An accuracy as a share of what the exact predictor reaches."""
    assert accuracy.value is not None
    return Row(
        metric="ceiling_share",
        value=accuracy.value / ceiling,
        n=accuracy.n,
        axes=accuracy.axes,
        spread=None if accuracy.spread is None else accuracy.spread / ceiling,
    )


def facts(config: Config, data: Data, model: Model, point: Point) -> dict[str, Any]:
    """What a report says of a training beside its rows."""
    return {
        "architecture": config.model.model_dump(),
        "machines": config.data_set.machines.model_dump(),
        "data": data.key,
        "settings": config.settings,
        "steps": point.step,
        "device": str(point.losses.device),
        "backend": "stacked" if model.stacked else "fused",
        "versions": {"torch": torch.__version__},
    }
