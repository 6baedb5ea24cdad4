"""A group in numbers: mean, spread and interval over seeds, beside what could be known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev, variance

from engines.fsm_report.load import Axes, Group
from engines.shared.reporting.statistics import T95, Z95, Interval, t_interval

BEST: Axes = {"checkpoint": "best"}


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
    found = t_interval(values)
    return Summary(
        len(values),
        found.value,
        stdev(values),
        Interval(found.value, max(low, found.low), min(high, found.high)),
    )


def difference(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Mean difference of two groups of at least two seeds each, with Welch's 95 % interval (1947),
    degrees of freedom rounded down."""
    if min(len(first), len(second)) < 2:
        raise ValueError(
            f"difference: needs two seeds on both sides, got {len(first)} and {len(second)}"
        )
    parts = [variance(values) / len(values) for values in (first, second)]
    value, error = fmean(first) - fmean(second), math.sqrt(sum(parts))
    if error == 0:
        return Interval(value, value, value)
    shares = [part / sum(parts) for part in parts]  # the squares of tiny variances would be 0
    freedom = 1 / sum(
        share**2 / (len(values) - 1) for share, values in zip(shares, (first, second), strict=True)
    )
    whole = math.floor(freedom + 1e-6)  # rounding errors must not cost one of few
    half = error * (T95[whole - 1] if whole <= len(T95) else Z95)
    return Interval(value, value - half, value + half)


def counting(group: Group) -> list[float]:
    """Per seed the best accuracy that counting reaches."""
    found = []
    for one in group.finished:
        values = [
            row.value
            for row in one.rows
            if row.metric == "counting_accuracy" and row.value is not None
        ]
        if values:
            found.append(max(values))
    return found


def looked_up(group: Group) -> list[float]:
    """Per seed how far the accuracy came from the best counting (0) to the exact predictor (1)."""
    found = []
    for one, floor in zip(group.finished, counting(group), strict=True):
        accuracy, top = one.value("test_accuracy", BEST), one.value("ceiling_accuracy", {})
        if accuracy is not None and top is not None:
            found.append((accuracy - floor) / (top - floor))
    return found


def trained(group: Group) -> list[tuple[str, int]]:
    """Per seed of probes: the name of the probed checkpoint and the number of its last layer."""
    found = []
    for one in group.finished:
        layers = [
            (str(row.axes["checkpoint"]), int(row.axes["layer"]))
            for row in one.rows
            if row.metric == "probe_accuracy" and row.axes["checkpoint"] != "untrained"
        ]
        found.append(max(layers))
    return found


def probed(
    group: Group, metric: str, target: str, layer: int, network: str = "trained"
) -> list[float]:
    """Per seed a probe's value at a layer, counted from the embedding (0), of the trained or the
    untrained network."""
    found = []
    for one, (checkpoint, _) in zip(group.finished, trained(group), strict=True):
        value = one.value(
            metric,
            {
                "checkpoint": checkpoint if network == "trained" else network,
                "target": target,
                "layer": layer,
            },
        )
        if value is not None:
            found.append(value)
    return found
