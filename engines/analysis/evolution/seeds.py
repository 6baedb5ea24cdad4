"""The trainings that differ in nothing but their seed, as one curve: the mean over seeds and how
far it may be off.

In: the trainings and the score of every checkpoint. Out: groups, and their means. Called by
report.py, and by the tables, figures and rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from engines.analysis.evolution.load import Series
from engines.shared.reporting.statistics import Interval, t_interval

SEED = "seed"
ScoreTable = dict[tuple[str, int, str | None], Interval]
"""(training, place of the checkpoint, domain; None: macro mean) -> score; absent where a task has
no problem with one."""


@dataclass(frozen=True)
class Group:
    """Trainings with the same axes but for the seed."""

    axes: str
    """Those axes in words; "" if there is none."""
    series: tuple[Series, ...]

    @property
    def arm(self) -> str:
        """What the group is called in a table; a training alone has its own name."""
        return self.series[0].label if len(self.series) == 1 else self.axes or "all"

    @property
    def label(self) -> str:
        """What the group is called in a figure."""
        if len(self.series) == 1:
            return self.arm
        return f"{self.arm} (mean of {len(self.series)} seeds)"

    @property
    def steps(self) -> list[int]:
        """The steps at which every one of them has a checkpoint: a mean over now these and now
        those seeds would jump."""
        return sorted(set.intersection(*(set(training.steps) for training in self.series)))


def groups_of(series: list[Series]) -> list[Group]:
    """All trainings, those of one arm together, in the order in which they come."""
    groups: dict[tuple[tuple[str, object], ...], list[Series]] = {}
    for training in series:
        axes = training.points[0].scored.axes
        arm = tuple(sorted((name, value) for name, value in axes.items() if name != SEED))
        # A training without a seed is a group of its own.
        key = arm if SEED in axes else (("training", training.name),)
        groups.setdefault(key, []).append(training)
    return [
        Group(", ".join(f"{name}={value}" for name, value in key), tuple(same))
        for key, same in groups.items()
    ]


def over_seeds(scores: ScoreTable, group: Group, domain: str | None) -> dict[int, Interval]:
    """step -> mean over the seeds with Student's 95 % interval; empty for one seed. None: the macro
    mean."""
    if len(group.series) < 2:
        return {}
    means = {}
    for step in group.steps:
        at_step = [
            scores.get((training.name, training.steps.index(step), domain))
            for training in group.series
        ]
        # A mean over some of the seeds would move for that reason alone: all of them or none.
        known = [score.value for score in at_step if score is not None]
        if len(known) == len(at_step):
            means[step] = t_interval(known)
    return means


def uneven(groups: list[Group]) -> list[str]:
    """Steps that count in no mean, in words."""
    said = []
    for group in groups:
        every_step = {step for training in group.series for step in training.steps}
        left_out = sorted(every_step - set(group.steps))
        if left_out:
            said.append(
                f"{group.label}: only some seeds have a checkpoint at step "
                f"{', '.join(map(str, left_out))}: not in the mean"
            )
    return said
