"""Fit and judge the probes of one network."""

from __future__ import annotations

import numpy as np
import torch

from engines.contract.program import Interrupted, Stop
from engines.contract.results import Row
from engines.probe.config import Config
from engines.probe.features import Features, control
from engines.probe.logistic_regression import Probe
from engines.shared.automata.data import Array
from engines.shared.automata.description import DataSet
from engines.shared.reporting.statistics import ratio

Axes = dict[str, str | int | float | bool]


def per_sequence(right: Array, found: Features, chosen: Array) -> tuple[Array, Array]:
    """How many of the chosen transitions are right in each sequence that has any, and how many
    there are."""
    count = int(found.sequence.max()) + 1
    whole = np.bincount(found.sequence[chosen], minlength=count).astype(float)
    part = np.bincount(found.sequence[chosen], weights=right[chosen], minlength=count)
    return part[whole > 0], whole[whole > 0]


def share_row(metric: str, right: Array, found: Features, chosen: Array, axes: Axes) -> Row:
    """A share of transitions; the standard error is over sequences."""
    part, whole = per_sequence(right, found, chosen)
    value, error = ratio(part, whole)
    return Row(metric=metric, value=value, n=len(part), spread=error, axes=axes)


def blocks(found: Features) -> dict[int, Array]:
    """First transition -> which transitions: 1, 2-3, 4-7, 8-15, ... counted in the whole
    sequence."""
    exponent = np.log2(found.position).astype(int)
    return {2**k: exponent == k for k in range(int(exponent.max()) + 1)}


def probe(
    config: Config, which: DataSet, network: str, fit: Features, test: Features, stop: Stop
) -> tuple[list[Row], int]:
    """Rows of one network, and how many fits reached the limit of iterations."""
    rows: list[Row] = []
    unfinished = 0
    everything = np.ones(len(test.sequence), bool)
    for target in config.targets:
        # The names of the targets differ in length: each target has its own stream, the same in
        # every process (Python's hash of a text is not).
        random = np.random.default_rng([config.seed, len(target)])
        labels = {
            "task": (fit.labels[target], test.labels[target]),
            "control": (control(fit, target, which, random), control(test, target, which, random)),
        }
        classes = 2 if target == "seen" else which.machines.states
        # The majority of the fitted transitions: a probe may not look at the test's either.
        common = int(np.bincount(fit.labels[target]).argmax())
        rows.append(
            share_row(
                "majority_accuracy",
                test.labels[target] == common,
                test,
                everything,
                {"checkpoint": network, "target": target},
            )
        )
        for layer, (known, unknown) in enumerate(zip(fit.layers, test.layers, strict=True)):
            if stop.requested:
                raise Interrupted("the probes are not fitted; start it again")
            axes: Axes = {"checkpoint": network, "target": target, "layer": layer}
            right = {}
            for name, (ours, theirs) in labels.items():
                fitted = Probe(
                    known, torch.from_numpy(ours), classes, config.penalty, config.iterations
                )
                unfinished += not fitted.converged
                right[name] = (fitted.predict(unknown).numpy() == theirs).astype(float)
            rows += layer_rows(test, right["task"], right["control"], axes)
    return rows, unfinished


def layer_rows(test: Features, task: Array, control: Array, axes: Axes) -> list[Row]:
    """Accuracy of a layer's probe, of its control, the difference, and the accuracy by position."""
    everything = np.ones(len(test.sequence), bool)
    rows = [
        share_row("probe_accuracy", task, test, everything, axes),
        share_row("probe_control_accuracy", control, test, everything, axes),
        share_row("probe_selectivity", task - control, test, everything, axes),
    ]
    for first, chosen in blocks(test).items():
        rows.append(share_row("probe_accuracy", task, test, chosen, {**axes, "position": first}))
    return rows
