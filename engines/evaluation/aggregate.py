"""From verdicts to rows: means over problems, errors left out and counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engines.io import Row
from engines.statistics import standard_error

Line = dict[str, Any]
MEASURES: dict[str, Callable[[Line], float | None]] = {
    "accuracy": lambda line: None if line["value"] is None else float(line["value"] == 1.0),
    "score": lambda line: line["value"],
    "no_answer_rate": lambda line: float(line["status"] == "no_answer"),
    "truncated_rate": lambda line: float(line["finish_reason"] == "length"),
    "response_tokens": lambda line: float(line["tokens"]),
}


def measure(metric: str, lines: list[Line], axes: dict[str, str | int | float | bool]) -> Row:
    """Mean over problems of the mean over samples; a row with the reason if nothing could be measured."""
    items: dict[str, list[float]] = {}
    for line in lines:
        value = MEASURES[metric](line)
        if value is not None:
            items.setdefault(line["item_id"], []).append(value)
    if not items:
        reasons = sorted({f"{line['status']}: {line['detail']}" for line in lines})[:3]
        return Row(metric=metric, value=None, n=0, axes=axes, error=f"no sample could be scored: {'; '.join(reasons) or 'no sample'}")
    means = [float(np.mean(values)) for values in items.values()]
    return Row(metric=metric, value=float(np.mean(means)), n=len(means), spread=standard_error(means), axes=axes)


def over_tasks(parts: list[Row], axes: dict[str, str | int | float | bool]) -> Row:
    """Mean over a domain's tasks, each counting the same; no value if one of them has none."""
    metric, n = parts[0].metric, sum(part.n for part in parts)
    values, spreads = [part.value for part in parts], [part.spread for part in parts]
    gone = [f"{part.axes['task']}: {part.error}" for part in parts if part.value is None]
    if gone:
        return Row(metric=metric, value=None, n=n, axes=axes, error="; ".join(gone))
    spread = None if None in spreads else float(np.sqrt(sum(s**2 for s in spreads if s is not None))) / len(parts)
    return Row(metric=metric, value=float(np.mean([v for v in values if v is not None])), n=n, spread=spread, axes=axes)


def rows(lines: list[Line], tasks: dict[str, str], base: dict[str, str | int | float | bool]) -> list[Row]:
    """Rows of one checkpoint, per task (task -> domain) and per domain (task axis absent): the mean over its tasks."""
    found = []
    for task, domain in tasks.items():
        part = [line for line in lines if line["task"] == task]
        found += [measure(metric, part, {**base, "task": task, "domain": domain}) for metric in MEASURES]
    for domain in sorted(set(tasks.values())):
        found += [over_tasks([row for row in found if row.metric == metric and row.axes["domain"] == domain and "task" in row.axes],
                             {**base, "domain": domain}) for metric in MEASURES]
    return found
