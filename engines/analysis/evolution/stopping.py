"""Where to stop, and what went wrong on the way. Chosen on one half of the problems, reported on
the other.

The best of several checkpoints that are all equally good looks better than it is (by 5 points for
ten on 200 problems): whatever is chosen by a score must not be reported by it.

In: the trainings with the scores of their checkpoints. Out: a ``Stopping`` per training, and a
``Check`` per rule and domain. Called by report.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engines.analysis.comparison import score_of
from engines.analysis.evolution.load import Inputs, Point, Series, differences, values
from engines.analysis.load import Task
from engines.shared.reporting.statistics import (
    Array,
    Interval,
    halves,
    holm,
    mcnemar,
    minimum_detectable,
    paired_bootstrap,
    sign_flip,
    weighted_error,
)

RULES = {
    "stopping point": "the earliest checkpoint whose macro mean on the choosing half is less than "
    "one standard error (of the paired difference) below the best one's; its score is reported on "
    "the other half.",
    "plateau": "the checkpoints next to the best one, on both sides, that are less than one "
    "standard error below it.",
    "overfitting": "a domain's last checkpoint is below its best one (chosen on one half, compared "
    "on the other: paired interval below 0, p below the level after Holm over domains) while the "
    "reward in training did not fall between the two.",
    "forgetting": "a domain's last checkpoint is below its first by more than the difference that "
    "so many problems detect with 80 % power.",
}
Half = dict[Task, set[str]]
"""task -> the problems of one half."""


@dataclass(frozen=True)
class Stopping:
    """Where one training should have stopped. Places are indices into its checkpoints."""

    chosen: int
    best: int
    plateau: tuple[int, int]
    choosing: tuple[float, ...]
    """Macro mean of each checkpoint on the choosing half."""
    n: int
    """Problems of the reporting half."""
    reported: Interval
    """Macro mean of the chosen one on the reporting half."""
    reported_best: float
    """The same of the best one."""
    to_last: Interval | None
    """Last minus chosen on the reporting half; None where they are one."""

    @property
    def optimism(self) -> float:
        """By how much the half that chose the best checkpoint flatters it."""
        return self.choosing[self.best] - self.reported_best


@dataclass(frozen=True)
class Check:
    """One rule held against one domain of one training."""

    series: str
    domain: str
    rule: str
    before: int
    after: int
    """Indices into the training's checkpoints."""
    n: int
    difference: Interval
    p_value: float | None = None
    adjusted: float | None = None
    detectable: float | None = None
    rewards: tuple[float, float] | None = None
    """Mean training reward up to ``before`` and up to ``after``."""
    raised: bool = False
    """Whether it is an alarm."""
    finding: str = ""
    """What the alarm says, or why there is none."""

    @property
    def verdict(self) -> str:
        """``alarm: ...``, or why it is none."""
        return f"alarm: {self.finding}" if self.raised else self.finding


def weighted(groups: list[Array], weights: list[float]) -> float:
    """Weighted mean of the groups' means."""
    return sum(weight * float(group.mean()) for group, weight in zip(groups, weights, strict=True))


def tasks_without(half: Half, tasks: list[Task], series: Series) -> list[str]:
    """Tasks without a problem in this half that every checkpoint has a score of."""
    groups = values(series.points[0], tasks, half)
    return [task[1] for task, group in zip(tasks, groups, strict=True) if not len(group)]


def split(inputs: Inputs) -> tuple[Half, Half]:
    """The two halves of all problems."""
    scores = inputs.series[0].points[0].scores
    return halves({task: list(scores[task]) for task in inputs.tasks}, inputs.config.seed)


def near_best(
    series: Series, best: int, tasks: list[Task], weights: list[float], half: Half
) -> list[bool]:
    """Which checkpoints are less than one standard error of the paired difference below the best
    one; those that equal it are."""
    near = []
    for point in series.points:
        # Paired, problem by problem: the error of a difference, not of two scores.
        apart = differences(point, series.points[best], tasks, half)
        error = weighted_error(apart, weights)
        behind = weighted(apart, weights)
        # A task with one problem has no error; only what is not behind at all is near then.
        near.append(behind <= 0 or (error is not None and behind < error))
    return near


def plateau_around(best: int, near: list[bool]) -> tuple[int, int]:
    """First and last of the checkpoints next to the best one that are near it."""
    first = last = best
    while first > 0 and near[first - 1]:
        first -= 1
    while last + 1 < len(near) and near[last + 1]:
        last += 1
    return first, last


def stopping(inputs: Inputs, series: Series) -> Stopping | str:
    """The one-standard-error rule (Breiman et al. 1984) on paired differences; in words, why it
    cannot be applied."""
    choosing, reporting = split(inputs)
    tasks, weights = inputs.weights(None)
    points, config = series.points, inputs.config
    if len(points) < 2:
        return "one checkpoint: nothing to choose from"
    without = {*tasks_without(choosing, tasks, series), *tasks_without(reporting, tasks, series)}
    if without:
        return f"too few scored problems to halve: {', '.join(sorted(without))}"
    # Choose on the first half: the earliest that is as good as the best one.
    scores = [weighted(values(point, tasks, choosing), weights) for point in points]
    best = int(np.argmax(scores))
    near = near_best(series, best, tasks, weights, choosing)
    # There is always one: the best is not behind itself.
    chosen = near.index(True)
    # Report on the second, which has not seen the choice.
    shown = values(points[chosen], tasks, reporting)
    to_last = None
    if chosen != series.last:
        apart = differences(points[chosen], points[series.last], tasks, reporting)
        to_last = paired_bootstrap(apart, config.seed, config.draws, weights)
    return Stopping(
        chosen=chosen,
        best=best,
        plateau=plateau_around(best, near),
        choosing=tuple(scores),
        n=sum(len(group) for group in shown),
        reported=score_of(shown, weights, config.seed, config.draws),
        reported_best=weighted(values(points[best], tasks, reporting), weights),
        to_last=to_last,
    )


def reward_until(series: Series, place: int) -> float | None:
    """Mean training reward of the steps between the checkpoint before and this one; None where none
    is known.

    The first checkpoint has the reward of the step after it, whose rollouts it made, if there are
    none before.
    """
    steps = series.steps
    first = steps[place - 1] + 1 if place > 0 else 0
    rewards = rewards_between(series, first, steps[place])
    if place == 0 and not rewards:
        rewards = rewards_between(series, steps[0] + 1, steps[0] + 1)
    return float(np.mean(rewards)) if rewards else None


def rewards_between(series: Series, first: int, last: int) -> list[float]:
    """Rewards of the steps from ``first`` to ``last``, both included."""
    return [reward for step, reward in series.rewards if first <= step <= last]


def overfitting(inputs: Inputs, series: Series) -> list[Check]:
    """Every domain whose best checkpoint is not the last, held against the rule."""
    halved = split(inputs)
    checks = []
    for domain in inputs.domains():
        check = fall_from_best(inputs, series, domain, halved)
        if check is not None:
            checks.append(check)
    # Uncorrected, six domains would raise a false alarm in up to a quarter of the trainings.
    # Each has a p-value; one without would be an error in the zip below, not a 0.
    adjusted = holm([check.p_value for check in checks if check.p_value is not None])
    judged = []
    for check, p_value in zip(checks, adjusted, strict=True):
        raised, finding = overfitted(check, p_value, inputs.config.level)
        judged.append(replace(check, adjusted=p_value, raised=raised, finding=finding))
    return judged


def fall_from_best(
    inputs: Inputs, series: Series, domain: str, halved: tuple[Half, Half]
) -> Check | None:
    """One domain's last checkpoint against its best one, without a verdict.

    None where the last is the best, or where a task cannot be halved, which `stopping` says.
    """
    choosing, reporting = halved
    tasks, weights = inputs.weights(domain)
    if series.last == 0 or any(tasks_without(half, tasks, series) for half in halved):
        return None
    scores = [weighted(values(point, tasks, choosing), weights) for point in series.points]
    best = int(np.argmax(scores))
    if best == series.last:
        return None
    # Compared on the other half: on the one that chose it, the best would always seem to fall.
    before, after = series.points[best], series.points[series.last]
    apart = differences(before, after, tasks, reporting)
    then, now = reward_until(series, best), reward_until(series, series.last)
    single = len(tasks) == 1 and all(one_sample(point, tasks[0]) for point in (before, after))
    return Check(
        series.name,
        domain,
        "overfitting",
        before=best,
        after=series.last,
        n=sum(len(group) for group in apart),
        difference=paired_bootstrap(apart, inputs.config.seed, inputs.config.draws, weights),
        p_value=p_value_of(apart, single, weights, inputs),
        detectable=minimum_detectable(apart, weights),
        rewards=None if then is None or now is None else (then, now),
    )


def one_sample(point: Point, task: Task) -> bool:
    """Whether every scored problem of a task has one sample."""
    return all(len(samples) == 1 for samples in point.scores[task].values() if samples)


def p_value_of(apart: list[Array], single: bool, weights: list[float], inputs: Inputs) -> float:
    """Exact McNemar for one task of one 0/1 sample per problem (``single``), else the randomisation
    test over signs."""
    if single and bool(np.isin(apart[0], (-1.0, 0.0, 1.0)).all()):
        return mcnemar(apart[0])
    return sign_flip(apart, inputs.config.seed, inputs.config.draws, weights)


def overfitted(check: Check, adjusted: float, level: float) -> tuple[bool, str]:
    """The rule's verdict: whether it is an alarm, and what it says."""
    if check.difference.low > 0:
        return False, "no: it rose"
    if check.difference.value >= 0:
        return False, "no: it did not fall"
    # Interval and corrected test have to agree before anybody is alarmed.
    if check.difference.high >= 0 or adjusted >= level:
        return False, "no: the fall is within what these problems can show"
    if check.rewards is None:
        return True, "the domain fell; whether the training reward did is unknown"
    then, now = check.rewards
    if now < then:
        return True, (
            "the domain fell, and the training reward with it: not overfitting but a collapse"
        )
    return True, "overfitting"


def forgetting(inputs: Inputs, series: Series) -> list[Check]:
    """Every domain, first against last checkpoint, on all problems: neither end was chosen by a
    score."""
    if series.last == 0:
        return []
    config, checks = inputs.config, []
    for domain in inputs.domains():
        tasks, weights = inputs.weights(domain)
        apart = differences(series.points[0], series.points[series.last], tasks)
        # A task without a problem that both have a score of: nothing to compare.
        if any(not len(group) for group in apart):
            continue
        difference = paired_bootstrap(apart, config.seed, config.draws, weights)
        detectable = minimum_detectable(apart, weights)
        # Nothing is detectable where no two problems changed differently: then the interval says.
        fell = difference.high < 0 if detectable is None else difference.value < -detectable
        check = Check(
            series.name,
            domain,
            "forgetting",
            before=0,
            after=series.last,
            n=sum(len(group) for group in apart),
            difference=difference,
            detectable=detectable,
            raised=fell,
            finding="forgetting" if fell else "no",
        )
        checks.append(check)
    return checks
