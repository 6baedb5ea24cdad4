"""A group in numbers: mean, spread and interval over seeds, beside what could be known.

In: the values of a group's seeds. Out: ``Summary``, and one value per seed where several rows are
put together. Called by answers.py, tables.py, figures.py and rows.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev, variance

from engines.fsm_report.load import Axes, Group
from engines.shared.reporting.statistics import Interval, t_interval, t_quantile

BEST: Axes = {"checkpoint": "best"}
UNTRAINED = "untrained"
"""The name that probes give to the network before training, in the place of a checkpoint's."""


@dataclass(frozen=True)
class Summary:
    """One number over seeds."""

    n: int
    mean: float
    deviation: float | None
    """Standard deviation over seeds; None for one seed."""
    interval: Interval | None
    """95 % interval of the mean (Student's t), of a share cut at 0 and 1; None for one seed."""


def summarise(values: Sequence[float], low: float = 0.0, high: float = 1.0) -> Summary | None:
    """Mean, standard deviation and interval of values between ``low`` and ``high``; None for no
    value."""
    if not values:
        return None
    if len(values) == 1:
        return Summary(1, values[0], None, None)
    mean = t_interval(values)
    interval = Interval(mean.value, max(low, mean.low), min(high, mean.high))
    return Summary(len(values), mean.value, stdev(values), interval)


def difference(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Mean difference of two groups of at least two seeds each, with Welch's 95 % interval (1947),
    degrees of freedom rounded down."""
    if min(len(first), len(second)) < 2:
        raise ValueError(
            f"difference: needs two seeds on both sides, got {len(first)} and {len(second)}"
        )
    value = fmean(first) - fmean(second)
    # Squared standard errors of the two means.
    parts = [variance(values) / len(values) for values in (first, second)]
    error = math.sqrt(sum(parts))
    if error == 0:
        return Interval(value, value, value)
    # Shares of the whole: the squares of tiny variances themselves would be 0.
    shares = [part / sum(parts) for part in parts]
    inverse_freedom = sum(
        share**2 / (len(values) - 1) for share, values in zip(shares, (first, second), strict=True)
    )
    # Rounding errors must not cost one of few degrees of freedom.
    freedom = math.floor(1 / inverse_freedom + 1e-6)
    half = error * t_quantile(freedom)
    return Interval(value, value - half, value + half)


def counting(group: Group) -> list[float]:
    """Per seed the best accuracy that counting reaches."""
    best = []
    for job in group.finished:
        values = [
            row.value
            for row in job.rows
            if row.metric == "counting_accuracy" and row.value is not None
        ]
        if values:
            best.append(max(values))
    return best


def looked_up(group: Group) -> list[float]:
    """Per seed how far the accuracy came from the best counting (0) to the exact predictor (1)."""
    shares = []
    # The floor is the best of counting by state, by action, and by nothing.
    for job, floor in zip(group.finished, counting(group), strict=True):
        accuracy, top = job.value("test_accuracy", BEST), job.value("ceiling_accuracy", {})
        if accuracy is not None and top is not None:
            shares.append((accuracy - floor) / (top - floor))
    return shares


def trained(group: Group) -> list[tuple[str, int]]:
    """Per seed of probes: the name of the probed checkpoint and the number of its last layer."""
    found = []
    for job in group.finished:
        layers = [
            (str(row.axes["checkpoint"]), int(row.axes["layer"]))
            for row in job.rows
            if row.metric == "probe_accuracy" and row.axes["checkpoint"] != UNTRAINED
        ]
        # Pairs compare by name first: of several checkpoints this is the last layer of the one
        # whose name sorts last.
        found.append(max(layers))
    return found


def last_layer(group: Group) -> int:
    """The number of the last layer that probes read; all seeds have as many."""
    return trained(group)[0][1]


def probed(
    group: Group, metric: str, target: str, layer: int, network: str = "trained"
) -> list[float]:
    """Per seed a probe's value at a layer, counted from the embedding (0), of the trained or the
    untrained network."""
    values = []
    for job, (checkpoint, _) in zip(group.finished, trained(group), strict=True):
        axes: Axes = {
            "checkpoint": checkpoint if network == "trained" else network,
            "target": target,
            "layer": layer,
        }
        value = job.value(metric, axes)
        if value is not None:
            values.append(value)
    return values


def most_frequent(group: Group, target: str) -> list[float]:
    """Per seed of probes the accuracy of always naming the most frequent label."""
    values = []
    for job in group.finished:
        found = [
            row.value
            for row in job.rows
            if row.metric == "majority_accuracy"
            and row.axes["target"] == target
            and row.axes["checkpoint"] != UNTRAINED
        ]
        if found and found[0] is not None:
            values.append(found[0])
    return values
