"""Puts together what the report says: every checkpoint's score, where to stop, which rules raised
an alarm.

In: the config. Out: one ``Report``, from which every table, text, figure and row is made. Called by
``__main__``.
"""

from __future__ import annotations

from dataclasses import dataclass

from engines.analysis.comparison import score_of
from engines.analysis.evolution.config import Config
from engines.analysis.evolution.load import Inputs, Series, read_inputs, values
from engines.analysis.evolution.seeds import Group, ScoreTable, groups_of, uneven
from engines.analysis.evolution.stopping import Check, Stopping, forgetting, overfitting, stopping


@dataclass
class Report:
    """Everything the report says."""

    config: Config
    inputs: Inputs
    stops: dict[str, Stopping | str]
    """training -> where to stop, or why that cannot be said."""
    checks: list[Check]
    scores: ScoreTable
    groups: list[Group]

    @property
    def series(self) -> list[Series]:
        """The trainings."""
        return self.inputs.series

    @property
    def alarms(self) -> list[Check]:
        """The checks that raised one."""
        return [check for check in self.checks if check.raised]

    def training(self, name: str) -> Series:
        """A training by its name."""
        return next(training for training in self.series if training.name == name)


def make_report(config: Config) -> Report:
    """Read every checkpoint and apply every rule to every training."""
    inputs = read_inputs(config)
    stops = {training.name: stopping(inputs, training) for training in inputs.series}
    checks: list[Check] = []
    for training in inputs.series:
        checks += [*overfitting(inputs, training), *forgetting(inputs, training)]
    groups = groups_of(inputs.series)
    inputs.missing += uneven(groups)
    return Report(config, inputs, stops, checks, score_table(inputs), groups)


def score_table(inputs: Inputs) -> ScoreTable:
    """Every checkpoint's score in each domain and over all of them."""
    config, scores = inputs.config, {}
    for domain in (*inputs.domains(), None):
        tasks, weights = inputs.weights(domain)
        for training in inputs.series:
            for place, point in enumerate(training.points):
                groups = values(point, tasks)
                # A task without any scored problem leaves its
                # domain, and the macro mean, without a score.
                if all(len(group) for group in groups):
                    scores[training.name, place, domain] = score_of(
                        groups, weights, config.seed, config.draws
                    )
    return scores
