"""The trainings that differ in nothing but their seed, as one curve: the mean over seeds and how
far it may be off."""

from __future__ import annotations

from dataclasses import dataclass

from engines.analysis.evolution.load import Series
from engines.analysis.evolution.text import Told
from engines.shared.reporting.statistics import Interval, t_interval

SEED = "seed"


@dataclass(frozen=True)
class Group:
    """Trainings with the same axes but for the seed."""

    label: str
    colour: str
    """Value of the axis that colours stand for."""
    series: tuple[Series, ...]

    @property
    def steps(self) -> list[int]:
        """The steps at which every one of them has a checkpoint: a mean over now these and now
        those seeds would jump."""
        return sorted(set.intersection(*(set(one.steps) for one in self.series)))


def groups(told: Told) -> list[Group]:
    """All trainings, those of one arm together, in the order in which they come."""
    found: dict[tuple[tuple[str, object], ...], list[Series]] = {}
    for one in told.evolved.series:
        axes = one.points[0].scored.axes
        rest = tuple(sorted((name, value) for name, value in axes.items() if name != SEED))
        found.setdefault(rest if SEED in axes else (("training", one.name),), []).append(one)
    return [
        Group(labelled(rest, same), same[0].colour, tuple(same)) for rest, same in found.items()
    ]


def labelled(rest: tuple[tuple[str, object], ...], same: list[Series]) -> str:
    """What a group is called; a training alone has its own name."""
    if len(same) == 1:
        return same[0].label
    return (
        f"{', '.join(f'{name}={value}' for name, value in rest) or 'all'} (mean of "
        f"{len(same)} seeds)"
    )


def over_seeds(told: Told, group: Group, domain: str | None) -> dict[int, Interval]:
    """step -> mean over the seeds with Student's 95 % interval; empty for one seed. None: the macro
    mean."""
    found = {}
    for step in group.steps if len(group.series) > 1 else []:
        scores = [
            told.scores.get((one.name, one.steps.index(step), domain)) for one in group.series
        ]
        there = [score.value for score in scores if score is not None]
        if len(there) == len(scores):
            found[step] = t_interval(there)
    return found


def uneven(told: Told) -> list[str]:
    """Steps that count in no mean, in words."""
    said = []
    for group in groups(told):
        left = sorted({step for one in group.series for step in one.steps} - set(group.steps))
        if left:
            said.append(
                f"{group.label}: only some seeds have a checkpoint at step "
                f"{', '.join(map(str, left))}: not in the mean"
            )
    return said


ARMS = ["arm", "step", "seeds", "macro mean over seeds [95 %]"]


def arm_rows(told: Told) -> list[list[str]]:
    """One row per arm of several seeds and step."""
    return [
        [
            group.label.removesuffix(f" (mean of {len(group.series)} seeds)"),
            str(step),
            str(len(group.series)),
            f"{100 * mean.value:.1f} [{100 * mean.low:.1f}, {100 * mean.high:.1f}]",
        ]
        for group in groups(told)
        for step, mean in over_seeds(told, group, None).items()
    ]
