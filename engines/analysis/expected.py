"""Expected against actual: does a model trained on several tasks beat the best of the models
trained on one?

In: the scores of the specialists and of the treatment. Out: one ``Expected`` per domain. Called by
report.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engines.analysis.comparison import pooled, score_of
from engines.analysis.config import Config
from engines.analysis.load import Scores, Task
from engines.shared.reporting.statistics import (
    Array,
    Interval,
    halves,
    holm,
    paired_bootstrap,
    sign_flip,
)

Values = dict[Task, dict[str, float]]
"""task -> item_id -> mean over samples and seeds."""
Problems = dict[Task, list[str]]
"""task -> item_ids, sorted."""


@dataclass(frozen=True)
class Expected:
    """One domain. The specialist was chosen on one half of the problems; the scores are those on
    the other."""

    domain: str
    specialist: str
    n: int
    expected: Interval
    """The specialist's score."""
    actual: Interval
    """The treatment's."""
    gain: Interval
    """Actual minus expected, paired by problem."""
    p_value: float
    adjusted: float = 1.0
    """``p_value`` after Holm over domains."""


def expect(
    specialists: dict[str, dict[str, Scores]], treatment: dict[str, Scores], config: Config
) -> list[Expected]:
    """One line per domain of which every task can be halved; nothing without specialists.

    The best of several noisy scores is too high: had the same problems chosen the specialist and
    scored it, no gain would look like a loss.
    """
    if not specialists:
        return []
    tasks = sorted(next(iter(treatment.values())))
    actual = {task: pooled(treatment, task) for task in tasks}
    others = {
        name: {task: pooled(seeds, task) for task in tasks} for name, seeds in specialists.items()
    }
    common = scored_by_all(tasks, [actual, *others.values()])
    # The problems are halved once, so that all domains and specialists are judged on the same half.
    choosing, reporting = halves(common, config.seed)
    halved = (in_order(choosing), in_order(reporting))
    lines = []
    for domain in sorted({task[0] for task in tasks}):
        members = [task for task in tasks if task[0] == domain]
        # One half chooses and one reports: each needs a problem.
        if all(len(common[task]) > 1 for task in members):
            lines.append(line_of(domain, members, actual, others, halved, config))
    adjusted = holm([line.p_value for line in lines])
    return [replace(line, adjusted=p) for line, p in zip(lines, adjusted, strict=True)]


def scored_by_all(tasks: list[Task], models: list[Values]) -> Problems:
    """Per task the problems that every model has a score of."""
    common = {}
    for task in tasks:
        scored = [set(values[task]) for values in models]
        common[task] = sorted(set.intersection(*scored))
    return common


def in_order(problems: dict[Task, set[str]]) -> Problems:
    """The problems of each task, sorted, so that two models' values are paired by place."""
    return {task: sorted(items) for task, items in problems.items()}


def groups(values: Values, tasks: list[Task], problems: Problems) -> list[Array]:
    """Per task the values of ``problems``."""
    return [np.array([values[task][item] for item in problems[task]]) for task in tasks]


def line_of(
    domain: str,
    tasks: list[Task],
    actual: Values,
    others: dict[str, Values],
    halved: tuple[Problems, Problems],
    config: Config,
) -> Expected:
    """Choose the domain's specialist on the first half, then compare on the second.

    A domain is the mean over its tasks, whatever their number of problems.
    """
    choosing, reporting = halved
    scores = {}
    for name in sorted(others):
        means = [group.mean() for group in groups(others[name], tasks, choosing)]
        scores[name] = float(np.mean(means))
    # Of equals the first by name.
    best = max(scores, key=lambda name: scores[name])
    weights = [1 / len(tasks)] * len(tasks)
    left = groups(others[best], tasks, reporting)
    right = groups(actual, tasks, reporting)
    differences = [b - a for a, b in zip(left, right, strict=True)]
    return Expected(
        domain,
        best,
        n=sum(len(group) for group in left),
        expected=score_of(left, weights, config.seed, config.draws),
        actual=score_of(right, weights, config.seed, config.draws),
        gain=paired_bootstrap(differences, config.seed, config.draws, weights),
        p_value=sign_flip(differences, config.seed, config.draws, weights),
    )
