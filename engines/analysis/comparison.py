"""Compares the two arms, problem by problem: domains, their tasks, and the macro mean.

In: the scores of both arms, seed by seed. Out: one ``Line`` per row of the main table, with the
score of each arm, their difference, and its p-value. Called by report.py; expected.py and the
evolution use ``pooled`` and ``score_of``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engines.analysis.config import Config
from engines.analysis.load import Scores, Task
from engines.contract.config import ConfigError
from engines.contract.counting.counts import counted
from engines.shared.reporting.statistics import (
    Array,
    Interval,
    benjamini_hochberg,
    holm,
    mcnemar,
    minimum_detectable,
    paired_bootstrap,
    sign_flip,
    wilson,
)

MACRO = "macro mean"
LEVEL = 0.05
"""A p-value below it counts as evidence."""
NOTHING_SCORED = "no problem was scored in both arms"
Arms = dict[str, dict[str, Scores]]
"""arm -> seed -> scores; the baseline first."""


@dataclass(frozen=True)
class Line:
    """One line of the comparison: a domain, one of its tasks, or the macro mean over domains."""

    name: str
    n: int
    baseline: Interval | None = None
    treatment: Interval | None = None
    difference: Interval | None = None
    detectable: float | None = None
    p_value: float | None = None
    """Of no difference: exact McNemar where every problem has one sample that is 0 or 1, else a
    randomisation test over signs."""
    adjusted: float | None = None
    """``p_value`` after Holm over domains, after Benjamini and Hochberg over tasks; the macro mean
    is one question and stays."""
    total: int = 0
    """How many problems there are; ``n`` of them have a score in both arms."""
    extremes: tuple[float, float] | None = None
    """The difference if all problems without a score counted against the treatment, and if all
    counted for it."""
    test: str = ""
    """Which test gave ``p_value``."""
    task: bool = False
    """Whether this is one of several tasks of the domain above."""
    missing: str = ""
    """Why there is no difference; empty if there is one."""


@dataclass(frozen=True)
class Pair:
    """Both arms' values on the problems of one task that both could score."""

    task: str
    baseline: Array
    treatment: Array
    total: int
    """Problems that were asked for."""
    single: bool
    """Whether every value is one sample, not a mean over samples or seeds."""
    extremes: tuple[float, float]
    """Mean difference over all ``total`` problems, with 0 or 1 in the place of a missing score
    (Manski 1989)."""

    @property
    def empty(self) -> bool:
        """Whether no problem has a score in both arms."""
        return len(self.baseline) == 0


def compare(arms: Arms, config: Config, missing: list[str]) -> list[Line]:
    """One line per domain (and per task where it has several), then the macro mean over domains.

    A domain is the mean over its tasks, the macro mean the mean over domains. What cannot be
    compared is named, and so is the macro; problems left out are counted in ``missing``.
    """
    domains: dict[str, list[Task]] = {}
    for task in sorted(_any_scores(arms)):
        domains.setdefault(task[0], []).append(task)
    lines: list[Line] = []
    pairs: list[Pair] = []
    weights: list[float] = []
    for domain, tasks in counted("comparing domains", domains.items()):
        of_domain = [paired(arms, task, missing) for task in tasks]
        lines += domain_lines(domain, of_domain, config)
        pairs += of_domain
        weights += [1 / len(tasks) / len(domains)] * len(tasks)
    # A mean over fewer domains would be another number under the same name.
    without = [line.name for line in lines if line.missing and not line.task]
    if without or not pairs:
        reason = f"no macro mean: missing domains {', '.join(without) or '(all)'}"
        return [*adjust(lines), Line(MACRO, 0, missing=reason)]
    macro = line_of(MACRO, pairs, weights, config)
    return [*adjust(lines), replace(macro, adjusted=macro.p_value)]


def _any_scores(arms: Arms) -> Scores:
    """The scores of one evaluation: all have the same tasks and problems."""
    seeds = next(iter(arms.values()))
    return next(iter(seeds.values()))


def domain_lines(domain: str, pairs: list[Pair], config: Config) -> list[Line]:
    """The line of a domain, then those of its tasks where it has several."""
    empty = [pair.task for pair in pairs if pair.empty]
    if empty:
        which = f": {', '.join(empty)}" if len(pairs) > 1 else ""
        total = sum(pair.total for pair in pairs)
        lines = [Line(domain, 0, missing=NOTHING_SCORED + which, total=total)]
    else:
        lines = [line_of(domain, pairs, [1 / len(pairs)] * len(pairs), config)]
    if len(pairs) == 1:
        return lines
    for pair in pairs:
        line = Line(pair.task, 0, missing=NOTHING_SCORED, total=pair.total)
        if not pair.empty:
            line = line_of(pair.task, [pair], [1.0], config)
        lines.append(replace(line, task=True))
    return lines


def line_of(name: str, pairs: list[Pair], weights: list[float], config: Config) -> Line:
    """The numbers of one line, from its groups of problems (one per task) and their weights.

    Every number estimates the same thing: the weighted mean over tasks of the mean over a task's
    problems. The weights sum to one.
    """
    baseline = [pair.baseline for pair in pairs]
    treatment = [pair.treatment for pair in pairs]
    # Problem by problem: what makes a problem hard is in both arms, and cancels.
    differences = [pair.treatment - pair.baseline for pair in pairs]
    exact = len(pairs) == 1 and pairs[0].single and _zeros_and_ones(*baseline, *treatment)
    if exact:
        p_value, test = mcnemar(differences[0]), "McNemar, exact"
    else:
        p_value = sign_flip(differences, config.seed, config.draws, weights)
        test = "sign flips"
    worst = best = 0.0
    for pair, weight in zip(pairs, weights, strict=True):
        worst += weight * pair.extremes[0]
        best += weight * pair.extremes[1]
    return Line(
        name,
        # Problems with a score in both arms, of ``total``.
        n=sum(len(values) for values in baseline),
        # Each arm's score, with an interval over the choice of problems.
        baseline=score_of(baseline, weights, config.seed, config.draws),
        treatment=score_of(treatment, weights, config.seed, config.draws),
        # Treatment minus baseline; narrower than the two above where the arms solve alike problems.
        difference=paired_bootstrap(differences, config.seed, config.draws, weights),
        # How often arms that are equal would differ by so much; ``adjust`` corrects it.
        p_value=p_value,
        # The true difference that so many problems find with 80 % power.
        detectable=minimum_detectable(differences, weights),
        total=sum(pair.total for pair in pairs),
        extremes=(worst, best),
        test=test,
    )


def score_of(groups: list[Array], weights: list[float], seed: int, draws: int) -> Interval:
    """One arm's score: Wilson for a single group of 0/1 values, else bootstrap."""
    if len(groups) == 1 and _zeros_and_ones(groups[0]):
        return wilson(float(groups[0].sum()), len(groups[0]))
    return paired_bootstrap(groups, seed, draws, weights, low=0.0)


def _zeros_and_ones(*groups: Array) -> bool:
    """Whether every value is 0 or 1."""
    return all(bool(np.isin(group, (0.0, 1.0)).all()) for group in groups)


def paired(arms: Arms, task: Task, missing: list[str]) -> Pair:
    """Both arms' values on the problems that both could score; the others are counted in
    ``missing``, arm by arm."""
    values = {arm: pooled(seeds, task) for arm, seeds in arms.items()}
    left, right = values.values()
    common = sorted(left.keys() & right.keys())
    problems = list(_any_scores(arms)[task])
    if len(common) < len(problems):
        without = [
            f"{len(problems) - len(scored)} without a score in {arm}"
            for arm, scored in values.items()
            if len(scored) < len(problems)
        ]
        missing.append(
            f"{task[1]}: {len(common)} of {len(problems)} problems: {', '.join(without)}"
        )
    # A score that is missing counts 0 where it would help the treatment, then where it would not.
    worst = [right.get(problem, 0.0) - left.get(problem, 1.0) for problem in problems]
    best = [right.get(problem, 1.0) - left.get(problem, 0.0) for problem in problems]
    return Pair(
        task=task[1],
        baseline=np.array([left[problem] for problem in common]),
        treatment=np.array([right[problem] for problem in common]),
        total=len(problems),
        single=all(_one_sample(seeds, task, common) for seeds in arms.values()),
        extremes=(float(np.mean(worst)), float(np.mean(best))),
    )


def pooled(seeds: dict[str, Scores], task: Task) -> dict[str, float]:
    """Mean over samples, then over seeds, of each problem that every seed could score."""
    first = next(iter(seeds.values()))
    means = {}
    # Samples before seeds, so that a seed counts once, however many samples it has. A seed that
    # could not score the problem would shift the mean, so the problem is left out then.
    for problem in first[task]:
        samples = [scores[task][problem] for scores in seeds.values()]
        if all(samples):
            means[problem] = float(np.mean([np.mean(values) for values in samples]))
    return means


def _one_sample(seeds: dict[str, Scores], task: Task, problems: list[str]) -> bool:
    """Whether an arm has one seed, and one sample of each problem."""
    if len(seeds) > 1:
        return False
    (scores,) = seeds.values()
    return all(len(scores[task][problem]) == 1 for problem in problems)


def adjust(lines: list[Line]) -> list[Line]:
    """Correct p-values for how many were looked at: domains among domains (Holm), tasks among tasks
    (Benjamini and Hochberg)."""
    domains: dict[int, float] = {}
    tasks: dict[int, float] = {}
    for place, line in enumerate(lines):
        if line.p_value is not None:
            family = tasks if line.task else domains
            family[place] = line.p_value
    adjusted = list(lines)
    for family, correct in ((domains, holm), (tasks, benjamini_hochberg)):
        corrected = correct(list(family.values()))
        for place, p_value in zip(family, corrected, strict=True):
            adjusted[place] = replace(lines[place], adjusted=p_value)
    return adjusted


def check_items(arms: Arms, word: str = "seed ") -> None:
    """ConfigError unless every evaluation saw the same problems; ``word`` says what tells the
    evaluations of an arm apart."""
    evaluations: list[tuple[str, dict[Task, set[str]]]] = []
    for arm, seeds in arms.items():
        for seed, scores in seeds.items():
            problems = {task: set(items) for task, items in scores.items()}
            evaluations.append((f"{arm}, {word}{seed}", problems))
    # Pairing by problem would otherwise go on with what both have, and say nothing.
    first_name, first = evaluations[0]
    for name, problems in evaluations[1:]:
        for task in sorted(problems.keys() | first.keys()):
            here, there = problems.get(task, set()), first.get(task, set())
            if here != there:
                raise ConfigError(
                    f"not comparable: {task[1]} has {len(there)} problems in {first_name} "
                    f"and {len(here)} in {name}, {len(here & there)} in common; "
                    "evaluate both on the same data"
                )
