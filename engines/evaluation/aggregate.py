"""From verdicts to rows: means over problems, pass@k, means over domains and over a suite.

In: one line per sample with its verdict. Out: the rows of ``results.json``. A sample that could not
be scored is left out of the mean and counted elsewhere; where nothing could be measured, a row says
why instead of being 0. ``__main__.py`` calls it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engines.contract.results import Row
from engines.shared.reporting.statistics import pass_at_k, standard_error

Line = dict[str, Any]
Axes = dict[str, str | int | float | bool]

MEASURES = (
    "accuracy",
    "score",
    "no_answer_rate",
    "out_of_time_rate",
    "truncated_rate",
    "response_tokens",
)
"""The metrics of every task and domain."""


def measured(metric: str, line: Line) -> float | None:
    """The value of one sample; None if it could not be scored."""
    if metric in ("accuracy", "score"):
        value: float | None = line["value"]
        if value is None or metric == "score":
            return value
        # Accuracy gives no partial credit.
        return float(value == 1.0)
    if metric == "no_answer_rate":
        return float(line["status"] == "no_answer")
    if metric == "out_of_time_rate":
        return float(line["status"] == "out_of_time")
    # "length" is vLLM's word for a response that reached max_tokens.
    if metric == "truncated_rate":
        return float(line["finish_reason"] == "length")
    return float(line["tokens"])


def mean_over_problems(metric: str, lines: list[Line], axes: Axes) -> Row:
    """Mean over problems of the mean over samples; a row with the reason if nothing could be
    measured."""
    by_item: dict[str, list[float]] = {}
    for line in lines:
        value = measured(metric, line)
        if value is not None:
            by_item.setdefault(line["item_id"], []).append(value)
    if not by_item:
        reasons = sorted({f"{line['status']}: {line['detail']}" for line in lines})[:3]
        why = "; ".join(reasons) or "every prompt is too long"
        return Row(
            metric=metric, value=None, n=0, axes=axes, error=f"no sample could be scored: {why}"
        )
    # Problems are the independent units: samples of one problem are alike, and counting each would
    # make the standard error too small.
    means = [float(np.mean(values)) for values in by_item.values()]
    return mean_row(metric, means, axes)


def mean_row(metric: str, values: list[float], axes: Axes) -> Row:
    """A row with the mean of independent values and its standard error."""
    return Row(
        metric=metric,
        value=float(np.mean(values)),
        n=len(values),
        spread=standard_error(values),
        axes=axes,
    )


def pass_at_k_rows(lines: list[Line], axes: Axes) -> list[Row]:
    """Rows of pass@k for k = 2, 4, ... up to the samples of each problem; problems with a sample
    that has no score are left out."""
    by_item: dict[str, list[float | None]] = {}
    for line in lines:
        by_item.setdefault(line["item_id"], []).append(line["value"])
    # Leaving out single samples would make problems with fewer samples than k.
    correct = [
        [value == 1.0 for value in values] for values in by_item.values() if None not in values
    ]
    # A file may repeat some problems more often than others; k goes as far as all of them allow.
    fewest_samples = min(map(len, correct), default=1)
    rows_of_k = []
    # pass@1 is the accuracy, which has a row already.
    k = 2
    while k <= fewest_samples:
        chances = [pass_at_k(len(values), sum(values), k) for values in correct]
        rows_of_k.append(mean_row("pass_at_k", chances, {**axes, "k": k}))
        k *= 2
    return rows_of_k


def over_suite(
    task_rows: Sequence[Row],
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
    parts = {}
    for row in task_rows:
        task = str(row.axes.get("task"))
        if metrics.get(task) == row.metric:
            parts[task] = row
    n = sum(row.n for row in parts.values())
    # A mean over fewer tasks than the suite has would look like the suite's score and not be it.
    reasons = [missing] if missing else without_value(parts)
    if not reasons:
        reasons = [f"{task}: no sample" for task in sorted(metrics.keys() - parts.keys())]
    if reasons:
        return Row(metric="suite_score", value=None, n=n, axes=axes, error="; ".join(reasons))
    # Three tasks of LiveBench form one group and count as one task of the suite.
    weights = suite_weights(list(metrics), groups)
    return weighted_sum("suite_score", [(weights[task], row) for task, row in parts.items()], axes)


def without_value(parts: Mapping[str, Row]) -> list[str]:
    """Why there is no value, of each task that has none."""
    return [f"{task}: {row.error}" for task, row in parts.items() if row.value is None]


def suite_weights(tasks: Sequence[str], groups: Mapping[str, str | None]) -> dict[str, float]:
    """What each task counts for: every group the same, and within a group every task the same. A
    task without a group is one of its own."""
    group_of = {task: groups.get(task) or task for task in tasks}
    sizes = Counter(group_of.values())
    weights = {}
    for task, group in group_of.items():
        weights[task] = 1.0 / (len(sizes) * sizes[group])
    return weights


def weighted_sum(metric: str, parts: Sequence[tuple[float, Row]], axes: Axes) -> Row:
    """The sum of independent values with their weights; its standard error is unknown where one of
    theirs is."""
    value, variance = 0.0, 0.0
    spread_known = True
    for weight, row in parts:
        value += weight * (row.value or 0.0)
        if row.spread is None:
            spread_known = False
        else:
            # Variances of independent values add up, each times the square of its weight.
            variance += (weight * row.spread) ** 2
    return Row(
        metric=metric,
        value=value,
        n=sum(row.n for _, row in parts),
        spread=math.sqrt(variance) if spread_known else None,
        axes=axes,
    )


def over_tasks(parts: list[Row], axes: Axes) -> Row:
    """Mean over a domain's tasks, each counting the same; no value if one of them has none."""
    metric = parts[0].metric
    n = sum(part.n for part in parts)
    reasons = without_value({str(part.axes["task"]): part for part in parts})
    if reasons:
        return Row(metric=metric, value=None, n=n, axes=axes, error="; ".join(reasons))
    mean = float(np.mean([part.value for part in parts]))
    return Row(metric=metric, value=mean, n=n, spread=spread_of_mean(parts), axes=axes)


def spread_of_mean(parts: list[Row]) -> float | None:
    """Standard error of the mean of independent values; unknown where one of theirs is."""
    variance = 0.0
    for part in parts:
        if part.spread is None:
            return None
        variance += part.spread**2
    # The variance of the mean is the sum of the variances over the square of their number.
    return math.sqrt(variance) / len(parts)


def rows(
    lines: list[Line], domains: dict[str, str], base: Axes, sampled: frozenset[str] = frozenset()
) -> list[Row]:
    """Rows of one checkpoint, per task (task -> domain) and per domain (task axis absent): the mean
    over its tasks.

    Tasks in ``sampled`` have pass@k too: greedy samples are all the same.
    """
    all_rows: list[Row] = []
    of_domain: dict[tuple[str, str], list[Row]] = {}
    for task, domain in domains.items():
        own = [line for line in lines if line["task"] == task]
        axes: Axes = {**base, "task": task, "domain": domain}
        for metric in MEASURES:
            row = mean_over_problems(metric, own, axes)
            all_rows.append(row)
            of_domain.setdefault((domain, metric), []).append(row)
        if task in sampled:
            all_rows += pass_at_k_rows(own, axes)
    for domain in sorted(set(domains.values())):
        for metric in MEASURES:
            all_rows.append(over_tasks(of_domain[domain, metric], {**base, "domain": domain}))
    return all_rows
