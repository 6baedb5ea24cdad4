"""Every number as a row for programs.

In: the report. Out: the rows of ``results.json`` and of ``tidy.csv``. Called by ``__main__``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engines.contract.metrics import METRICS
from engines.contract.results import Row
from engines.contract.tidy import Tidy, with_ends
from engines.polychromic_report.compare import Change
from engines.polychromic_report.load import Setting
from engines.polychromic_report.report import DIFFERENCES, Report

Axes = dict[str, str | int | float | bool]


def all_rows(report: Report) -> list[Tidy]:
    """Rows of ``tidy.csv``: the mean of every metric of every model, then the changes."""
    return [*model_rows(report), *change_rows(report)]


def own_rows(report: Report) -> list[Row]:
    """Rows of the report's own results; the ends of intervals are among their axes."""
    return [with_ends(line) for line in change_rows(report)]


def axes_of(arm: Setting) -> Axes:
    """What tells an arm apart."""
    axes: Axes = {"weight": arm.weight, "family": arm.family}
    return {**axes, "other": arm.other} if arm.other else axes


def model_rows(report: Report) -> Iterator[Tidy]:
    """One row per model and metric."""
    source = report.inputs.sources.label("results")
    for model in report.inputs.models:
        axes: Axes = (
            {"model": "before fine-tuning"} if model.setting is None else axes_of(model.setting)
        )
        if model.seed is not None:
            axes = {**axes, "seed": model.seed}
        for metric, values in model.values.items():
            known = values[~np.isnan(values)]
            if metric in METRICS and len(known):
                row = Row(metric=metric, value=float(known.mean()), n=len(known), axes=axes)
                yield Tidy(row, source)


def change_rows(report: Report) -> list[Tidy]:
    """Every change of every arm against the arm without the term."""
    source = report.inputs.sources.label("results")
    names = {name for model in report.inputs.models for name in model.values if name in METRICS}
    rows = []
    for arm in report.arms:
        for metric in sorted(names) if arm.weight > 0 else ():
            rows.append(change_row(report.change(arm, metric), metric, axes_of(arm), source))
    return rows


def change_row(change: Change | str, metric: str, axes: Axes, source: str) -> Tidy:
    """One change; why there is none is an error and no 0."""
    kind = "difference" if metric in DIFFERENCES else "relative_change"
    named: Axes = {**axes, "of": metric}
    if isinstance(change, str):
        return Tidy(Row(metric=kind, value=None, n=0, axes=named, error=change), source)
    row = Row(metric=kind, value=change.interval.value, n=change.prompts, axes=named)
    return Tidy(row, source, change.interval.low, change.interval.high)
