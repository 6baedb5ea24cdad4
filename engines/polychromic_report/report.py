"""Everything that the report says, computed once.

In: the config and what the jobs left. Out: arms, their changes against the arm without the term,
and what the decision tree concludes for every family of arms. Called by ``__main__``; tables, text,
figures and rows read from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engines.polychromic_report.compare import Change, difference, relative_change
from engines.polychromic_report.config import Config
from engines.polychromic_report.load import Evaluated, Inputs, Setting, read_jobs
from engines.polychromic_report.verdict import Arm, Conclusion, conclude
from engines.shared.reporting.statistics import Array, Interval, t_interval

NO_JUDGE = "no judge was asked"
DIFFERENCES = ("test_cross_entropy", "valid_share", "reply_words", "self_bleu")
"""Metrics whose change is told as a difference; of others it is relative."""


@dataclass(frozen=True)
class Family:
    """Arms that differ in the weight of the term alone, with the arm without it."""

    name: str
    arms: list[Arm]
    conclusion: Conclusion


@dataclass
class Report:
    """What the report says."""

    config: Config
    inputs: Inputs
    arms: list[Setting] = field(default_factory=list)
    """The arm without the term first, then by family and weight."""
    families: list[Family] = field(default_factory=list)

    @property
    def baseline(self) -> Setting | None:
        """The arm without the term."""
        return next((arm for arm in self.arms if arm.weight == 0), None)

    def values(self, arm: Setting, metric: str) -> Array | None:
        """(seeds, prompts) of an arm, seeds in their order; None where a seed has none."""
        return stacked(self.inputs.evaluated(arm), metric)

    def level(self, arm: Setting, metric: str) -> Interval | float | None:
        """Mean over prompts and seeds, with an interval where there are several seeds."""
        values = self.values(arm, metric)
        if values is None or np.isnan(values).all():
            return None
        by_seed = np.nanmean(values, axis=1)
        if len(by_seed) < 2:
            return float(by_seed[0])
        return t_interval([float(value) for value in by_seed])

    def change(self, arm: Setting, metric: str) -> Change | str:
        """Of a metric against the arm without the term, over the seeds that both have."""
        if self.baseline is None:
            return "there is no arm without the diversity term to compare with"
        pairs = self.inputs.pairs(arm, self.baseline)
        if not pairs:
            return "no seed was evaluated in both arms"
        treatment = stacked([one for one, _ in pairs], metric)
        other = stacked([one for _, one in pairs], metric)
        if treatment is None or other is None:
            return f"{metric} was not measured in every model"
        if metric in DIFFERENCES:
            return difference(treatment, other)
        return relative_change(treatment, other)


def stacked(models: Sequence[Evaluated], metric: str) -> Array | None:
    """(models, prompts); None unless every model has the metric."""
    rows = [model.values.get(metric) for model in models]
    known = [row for row in rows if row is not None]
    return np.stack(known) if known and len(known) == len(rows) else None


def make_report(config: Config) -> Report:
    """Read, compare, conclude."""
    report = Report(config, read_jobs(config))
    report.arms = sorted(report.inputs.settings(), key=Setting.order)
    for name in dict.fromkeys(arm.family for arm in report.arms if arm.weight > 0):
        arms = [
            compared(report, arm) for arm in report.arms if arm.family == name and arm.weight > 0
        ]
        conclusion = conclude(arms, config.tree, config.margins)
        report.families.append(Family(name, arms, conclusion))
    return report


def compared(report: Report, arm: Setting) -> Arm:
    """An arm against the arm without the term."""
    return Arm(
        arm.label,
        arm.weight,
        report.change(arm, report.config.metric),
        report.change(arm, "unique_valid"),
        report.change(arm, "test_cross_entropy"),
        preference(report, arm),
    )


def preference(report: Report, arm: Setting) -> Change | str:
    """The judge's preference for the arm over the arm without the term, minus 0.5."""
    values = report.values(arm, "win_rate")
    if values is None:
        return NO_JUDGE
    return difference(values, np.full_like(values, 0.5))
