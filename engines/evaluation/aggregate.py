"""From verdicts to rows: means over problems, errors left out and counted; pass@k; the mean over a
suite."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from engines.contract.results import Row
from engines.shared.reporting.statistics import standard_error

Line = dict[str, Any]
Axes = dict[str, str | int | float | bool]
MEASURES: dict[str, Callable[[Line], float | None]] = {
    "accuracy": lambda line: None if line["value"] is None else float(line["value"] == 1.0),
    "score": lambda line: line["value"],
    "no_answer_rate": lambda line: float(line["status"] == "no_answer"),
    "truncated_rate": lambda line: float(line["finish_reason"] == "length"),
    "response_tokens": lambda line: float(line["tokens"]),
}


def measure(metric: str, lines: list[Line], axes: Axes) -> Row:
    """Mean over problems of the mean over samples; a row with the reason if nothing could be
    measured."""
    items: dict[str, list[float]] = {}
    for line in lines:
        value = MEASURES[metric](line)
        if value is not None:
            items.setdefault(line["item_id"], []).append(value)
    if not items:
        reasons = sorted({f"{line['status']}: {line['detail']}" for line in lines})[:3]
        why = "; ".join(reasons) or "every prompt is too long"
        return Row(
            metric=metric, value=None, n=0, axes=axes, error=f"no sample could be scored: {why}"
        )
    means = [float(np.mean(values)) for values in items.values()]
    return Row(
        metric=metric,
        value=float(np.mean(means)),
        n=len(means),
        spread=standard_error(means),
        axes=axes,
    )


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """1 - C(n - c, k) / C(n, k): the chance that k of n samples, c of them correct, hold a correct
    one. Chen et al. 2021, equation 1."""
    return 1.0 - math.comb(samples - correct, k) / math.comb(samples, k)


def passes(lines: list[Line], axes: Axes) -> list[Row]:
    """Rows of pass@k for k = 2, 4, ... up to the samples of each problem; problems with a sample
    that has no score are left out."""
    items: dict[str, list[float | None]] = {}
    for line in lines:
        items.setdefault(line["item_id"], []).append(line["value"])
    whole = [[value == 1.0 for value in values] for values in items.values() if None not in values]
    found = []
    samples = min(map(len, whole), default=1)
    for k in (2**power for power in range(1, samples.bit_length())):
        means = [pass_at_k(len(values), sum(values), k) for values in whole]
        found.append(
            Row(
                metric="pass_at_k",
                value=float(np.mean(means)),
                n=len(means),
                spread=standard_error(means),
                axes={**axes, "k": k},
            )
        )
    return found


def over_suite(
    found: Sequence[Row],
    metrics: Mapping[str, str],
    groups: Mapping[str, str | None],
    missing: str,
    axes: Axes,
) -> Row:
    """The mean over a suite: of each task its own metric (task -> metric), tasks of one group as
    their mean.

    ``missing`` says what of the suite was left out, "" if nothing: a part of a suite has no score
    of the whole.
    """
    parts = [row for row in found if metrics.get(str(row.axes.get("task"))) == row.metric]
    n = sum(part.n for part in parts)
    gone = (
        [missing]
        if missing
        else [f"{part.axes['task']}: {part.error}" for part in parts if part.value is None]
    )
    gone = gone or [
        f"{task}: no sample"
        for task in sorted(metrics.keys() - {part.axes["task"] for part in parts})
    ]
    if gone:
        return Row(metric="suite_score", value=None, n=n, axes=axes, error="; ".join(gone))
    size: dict[str, int] = {}
    name = {task: groups.get(task) or task for task in metrics}
    for task in metrics:
        size[name[task]] = size.get(name[task], 0) + 1
    weights = [1.0 / (len(size) * size[name[str(part.axes["task"])]]) for part in parts]
    spreads = [part.spread for part in parts]
    spread = (
        None
        if None in spreads
        else math.sqrt(
            sum((w * s) ** 2 for w, s in zip(weights, spreads, strict=True) if s is not None)
        )
    )
    value = sum(
        w * part.value for w, part in zip(weights, parts, strict=True) if part.value is not None
    )
    return Row(metric="suite_score", value=value, n=n, spread=spread, axes=axes)


def over_tasks(parts: list[Row], axes: Axes) -> Row:
    """Mean over a domain's tasks, each counting the same; no value if one of them has none."""
    metric, n = parts[0].metric, sum(part.n for part in parts)
    values, spreads = [part.value for part in parts], [part.spread for part in parts]
    gone = [f"{part.axes['task']}: {part.error}" for part in parts if part.value is None]
    if gone:
        return Row(metric=metric, value=None, n=n, axes=axes, error="; ".join(gone))
    spread = (
        None
        if None in spreads
        else float(np.sqrt(sum(s**2 for s in spreads if s is not None))) / len(parts)
    )
    return Row(
        metric=metric,
        value=float(np.mean([v for v in values if v is not None])),
        n=n,
        spread=spread,
        axes=axes,
    )


def rows(
    lines: list[Line], tasks: dict[str, str], base: Axes, sampled: frozenset[str] = frozenset()
) -> list[Row]:
    """Rows of one checkpoint, per task (task -> domain) and per domain (task axis absent): the mean
    over its tasks.

    Tasks in ``sampled`` have pass@k too: greedy samples are all the same.
    """
    found: list[Row] = []
    for task, domain in tasks.items():
        part = [line for line in lines if line["task"] == task]
        found += [
            measure(metric, part, {**base, "task": task, "domain": domain}) for metric in MEASURES
        ]
        if task in sampled:
            found += passes(part, {**base, "task": task, "domain": domain})
    for domain in sorted(set(tasks.values())):
        found += [
            over_tasks(
                [
                    row
                    for row in found
                    if row.metric == metric and row.axes["domain"] == domain and "task" in row.axes
                ],
                {**base, "domain": domain},
            )
            for metric in MEASURES
        ]
    return found
