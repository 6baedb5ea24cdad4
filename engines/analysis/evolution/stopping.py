"""Where to stop, and what went wrong on the way. Chosen on one half of the problems, reported on
the other.

The best of several checkpoints that are all equally good looks better than it is (by 5 points for
ten on 200 problems): whatever is chosen by a score must not be reported by it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engines.analysis.comparison import score_of
from engines.analysis.evolution.load import Evolved, Point, Series, Task, differences, values
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
    "one "
    "standard error (of the paired "
    "difference) below the best one's; its score is reported on the other half.",
    "plateau": "the checkpoints next to the best one, on both sides, that are less than one "
    "standard error below it.",
    "overfitting": "a domain's last checkpoint is below its best one (chosen on one half, compared "
    "on "
    "the other: paired interval below 0, "
    "p below the level after Holm over domains) while the reward in training did not "
    "fall between the two.",
    "forgetting": "a domain's last checkpoint is below its first by more than the difference that "
    "so "
    "many problems detect with 80 % power.",
}


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
    verdict: str = ""
    """``alarm: ...``, or why it is none."""

    @property
    def raised(self) -> bool:
        """Whether it is an alarm."""
        return self.verdict.startswith("alarm")


def weighted(groups: list[Array], weights: list[float]) -> float:
    """Weighted mean of the groups' means."""
    return sum(weight * float(group.mean()) for group, weight in zip(groups, weights, strict=True))


def empty(tasks: list[Task], keep: dict[Task, set[str]], series: Series) -> list[str]:
    """Tasks without a problem in ``keep`` that every checkpoint has a score of."""
    return [
        task[1]
        for task, group in zip(tasks, values(series.points[0], tasks, keep), strict=True)
        if not len(group)
    ]


def split(evolved: Evolved) -> tuple[dict[Task, set[str]], dict[Task, set[str]]]:
    """The two halves of all problems."""
    scores = evolved.series[0].points[0].scores
    return halves({task: list(scores[task]) for task in evolved.tasks}, evolved.config.seed)


def near_best(
    series: Series, best: int, tasks: list[Task], weights: list[float], keep: dict[Task, set[str]]
) -> list[bool]:
    """Which checkpoints are less than one standard error of the paired difference below the best
    one; those that equal it are."""
    found = []
    for point in series.points:
        apart = differences(point, series.points[best], tasks, keep)
        error = weighted_error(apart, weights)
        behind = weighted(apart, weights)
        found.append(behind <= 0 or (error is not None and behind < error))
    return found


def stopping(evolved: Evolved, series: Series) -> Stopping | str:
    """The one-standard-error rule (Breiman et al. 1984) on paired differences; in words, why it
    cannot be applied."""
    choosing, reporting = split(evolved)
    tasks, weights = evolved.weights(None)
    points, config = series.points, evolved.config
    if len(points) < 2:
        return "one checkpoint: nothing to choose from"
    gone = sorted({task for half in (choosing, reporting) for task in empty(tasks, half, series)})
    if gone:
        return f"too few scored problems to halve: {', '.join(gone)}"
    scores = [weighted(values(point, tasks, choosing), weights) for point in points]
    best = int(np.argmax(scores))
    near = near_best(series, best, tasks, weights, choosing)
    left = right = best
    while left > 0 and near[left - 1]:
        left -= 1
    while right + 1 < len(points) and near[right + 1]:
        right += 1
    chosen, last = near.index(True), len(points) - 1
    to_last = None
    if chosen != last:
        to_last = paired_bootstrap(
            differences(points[chosen], points[last], tasks, reporting),
            config.seed,
            config.draws,
            weights,
        )
    shown = values(points[chosen], tasks, reporting)
    return Stopping(
        chosen,
        best,
        (left, right),
        tuple(scores),
        sum(map(len, shown)),
        score_of(shown, weights, config.seed, config.draws),
        weighted(values(points[best], tasks, reporting), weights),
        to_last,
    )


def p_of(
    apart: list[Array],
    before: Point,
    after: Point,
    tasks: list[Task],
    weights: list[float],
    evolved: Evolved,
) -> float:
    """Exact McNemar for one task of one 0/1 sample per problem, else the randomisation test over
    signs."""
    single = len(tasks) == 1 and all(
        len(found) == 1
        for point in (before, after)
        for found in point.scores[tasks[0]].values()
        if found
    )
    if single and bool(np.isin(apart[0], (-1.0, 0.0, 1.0)).all()):
        return mcnemar(apart[0])
    return sign_flip(apart, evolved.config.seed, evolved.config.draws, weights)


def reward_until(series: Series, place: int) -> float | None:
    """Mean training reward of the steps between the checkpoint before and this one; None where none
    is known.

    The first checkpoint has the reward of the step after it, whose rollouts it made, if there are
    none before.
    """
    steps = series.steps
    after = steps[place - 1] if place > 0 else -1
    found = [reward for step, reward in series.rewards if after < step <= steps[place]]
    if place == 0 and not found:
        found = [reward for step, reward in series.rewards if step == steps[0] + 1]
    return float(np.mean(found)) if found else None


def overfitting(evolved: Evolved, series: Series) -> list[Check]:
    """Every domain whose best checkpoint is not the last, held against the rule."""
    choosing, reporting = split(evolved)
    last, checks = len(series.points) - 1, []
    for domain in evolved.domains():
        tasks, weights = evolved.weights(domain)
        if last == 0 or empty(tasks, choosing, series) or empty(tasks, reporting, series):
            continue  # told by `stopping`
        peak = int(
            np.argmax(
                [weighted(values(point, tasks, choosing), weights) for point in series.points]
            )
        )
        if peak == last:
            continue
        before, after = series.points[peak], series.points[last]
        apart = differences(before, after, tasks, reporting)
        difference = paired_bootstrap(apart, evolved.config.seed, evolved.config.draws, weights)
        then, now = reward_until(series, peak), reward_until(series, last)
        checks.append(
            Check(
                series.name,
                domain,
                "overfitting",
                peak,
                last,
                sum(map(len, apart)),
                difference,
                p_of(apart, before, after, tasks, weights, evolved),
                detectable=minimum_detectable(apart, weights),
                rewards=None if then is None or now is None else (then, now),
            )
        )
    adjusted = holm([check.p_value or 0.0 for check in checks])
    return [
        replace(
            check, adjusted=p, verdict=overfitted(replace(check, adjusted=p), evolved.config.level)
        )
        for check, p in zip(checks, adjusted, strict=True)
    ]


def overfitted(check: Check, level: float) -> str:
    """The rule's verdict."""
    if check.difference.high >= 0 or (check.adjusted or 0.0) >= level:
        return "no: the fall is within what these problems can show"
    if check.rewards is None:
        return "alarm: the domain fell; whether the training reward did is unknown"
    if check.rewards[1] < check.rewards[0]:
        return (
            "alarm: the domain fell, and the training reward with it: not overfitting but a "
            "collapse"
        )
    return "alarm: overfitting"


def forgetting(evolved: Evolved, series: Series) -> list[Check]:
    """Every domain, first against last checkpoint, on all problems: neither end was chosen by a
    score."""
    last, checks = len(series.points) - 1, []
    for domain in evolved.domains():
        tasks, weights = evolved.weights(domain)
        apart = differences(series.points[0], series.points[last], tasks)
        if last == 0 or any(not len(group) for group in apart):
            continue
        difference = paired_bootstrap(apart, evolved.config.seed, evolved.config.draws, weights)
        detectable = minimum_detectable(apart, weights)
        fell = difference.high < 0 if detectable is None else difference.value < -detectable
        checks.append(
            Check(
                series.name,
                domain,
                "forgetting",
                0,
                last,
                sum(map(len, apart)),
                difference,
                detectable=detectable,
                verdict="alarm: forgetting" if fell else "no",
            )
        )
    return checks


@dataclass(frozen=True)
class Flips:
    """Samples that changed between two neighbouring checkpoints."""

    gained: int
    lost: int
    both_right: int
    neither: int


def flips(before: Point, after: Point) -> Flips:
    """Counts over the samples that both checkpoints have a score of."""
    pairs = [
        (before.right[key], after.right[key]) for key in before.right.keys() & after.right.keys()
    ]
    return Flips(
        *(
            pairs.count(kind)
            for kind in ((False, True), (True, False), (True, True), (False, False))
        )
    )
