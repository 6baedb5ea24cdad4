"""Expected against actual: does a model trained on several tasks beat the best of the models
trained on one?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engines.analysis.comparison import pooled, score_of
from engines.analysis.config import Config
from engines.analysis.load import Scores
from engines.shared.reporting.statistics import (
    Array,
    Interval,
    halves,
    holm,
    paired_bootstrap,
    sign_flip,
)

Task = tuple[str, str]
Values = dict[Task, dict[str, float]]
"""task -> item_id -> mean over samples and seeds."""


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


def groups(values: Values, tasks: list[Task], items: dict[Task, list[str]]) -> list[Array]:
    """Per task the values of ``items``."""
    return [np.array([values[task][item] for item in items[task]]) for task in tasks]


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
    common = {
        task: sorted(set(actual[task]).intersection(*(values[task] for values in others.values())))
        for task in tasks
    }
    halved = [
        {task: sorted(items) for task, items in half.items()}
        for half in halves(common, config.seed)
    ]
    lines = []
    for domain in sorted({task[0] for task in tasks}):
        members = [task for task in tasks if task[0] == domain]
        if all(len(common[task]) > 1 for task in members):
            lines.append(line_of(domain, members, actual, others, halved[0], halved[1], config))
    adjusted = holm([line.p_value for line in lines])
    return [replace(line, adjusted=p) for line, p in zip(lines, adjusted, strict=True)]


def line_of(
    domain: str,
    tasks: list[Task],
    actual: Values,
    others: dict[str, Values],
    choosing: dict[Task, list[str]],
    reporting: dict[Task, list[str]],
    config: Config,
) -> Expected:
    """Choose the domain's specialist, then compare; of equals the first by name."""
    weights = [1 / len(tasks)] * len(tasks)
    scores = {
        name: float(np.mean([group.mean() for group in groups(values, tasks, choosing)]))
        for name, values in sorted(others.items())
    }
    name = max(scores, key=lambda one: scores[one])
    left, right = groups(others[name], tasks, reporting), groups(actual, tasks, reporting)
    apart = [b - a for a, b in zip(left, right, strict=True)]
    return Expected(
        domain,
        name,
        sum(map(len, left)),
        score_of(left, weights, config.seed, config.draws),
        score_of(right, weights, config.seed, config.draws),
        paired_bootstrap(apart, config.seed, config.draws, weights),
        sign_flip(apart, config.seed, config.draws, weights),
    )
