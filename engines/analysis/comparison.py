"""Compares the two arms, problem by problem: domains, their tasks, and the macro mean."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engines.analysis.config import Config
from engines.analysis.load import Scores
from engines.contract.config import ConfigError
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


def check_items(found: dict[str, dict[str, Scores]], word: str = "seed ") -> None:
    """ConfigError unless every evaluation saw the same problems; ``word`` says what tells the
    evaluations of an arm apart."""
    sets = [
        (f"{arm}, {word}{seed}", {task: set(items) for task, items in scores.items()})
        for arm, seeds in found.items()
        for seed, scores in seeds.items()
    ]
    for name, items in sets[1:]:
        for task in sorted(items.keys() | sets[0][1].keys()):
            ours, first = items.get(task, set()), sets[0][1].get(task, set())
            if ours != first:
                raise ConfigError(
                    f"not comparable: {task[1]} has {len(first)} problems in {sets[0][0]} "
                    f"and {len(ours)} in {name}, "
                    f"{len(ours & first)} in common; evaluate both on the same data"
                )


def pooled(seeds: dict[str, Scores], task: tuple[str, str]) -> dict[str, float]:
    """Mean over samples, then over seeds, of each problem that every seed could score."""
    first = next(iter(seeds.values()))
    means = {
        item: [np.mean(s[task][item]) for s in seeds.values() if s[task][item]]
        for item in first[task]
    }
    return {
        item: float(np.mean(values)) for item, values in means.items() if len(values) == len(seeds)
    }


@dataclass(frozen=True)
class Pair:
    """Both arms' values on the problems that both could score."""

    baseline: Array
    treatment: Array
    total: int
    """Problems that were asked for."""
    single: bool
    """Whether every value is one sample, not a mean over samples or seeds."""
    extremes: tuple[float, float]
    """Mean difference over all ``total`` problems, with 0 or 1 in the place of a missing score
    (Manski 1989)."""


def score_of(groups: list[Array], weights: list[float], seed: int, draws: int) -> Interval:
    """One arm's score: Wilson for a single group of 0/1 values, else bootstrap."""
    if len(groups) == 1 and bool(np.isin(groups[0], (0.0, 1.0)).all()):
        return wilson(float(groups[0].sum()), len(groups[0]))
    return paired_bootstrap(groups, seed, draws, weights, low=0.0)


def line_of(
    name: str, pairs: list[Pair], weights: list[float], config: Config, task: bool = False
) -> Line:
    """Scores of both arms and their difference, each group of problems with its weight."""
    left, right = [pair.baseline for pair in pairs], [pair.treatment for pair in pairs]
    apart = [b - a for a, b in zip(left, right, strict=True)]
    exact = (
        len(pairs) == 1
        and pairs[0].single
        and bool(np.isin(np.concatenate([*left, *right]), (0.0, 1.0)).all())
    )
    p_value = mcnemar(apart[0]) if exact else sign_flip(apart, config.seed, config.draws, weights)
    worst, best = (
        sum(weight * pair.extremes[side] for pair, weight in zip(pairs, weights, strict=True))
        for side in (0, 1)
    )
    baseline, treatment = (
        score_of(side, weights, config.seed, config.draws) for side in (left, right)
    )
    return Line(
        name,
        sum(map(len, left)),
        baseline,
        treatment,
        paired_bootstrap(apart, config.seed, config.draws, weights),
        minimum_detectable(apart, weights),
        p_value,
        task=task,
        total=sum(pair.total for pair in pairs),
        extremes=(worst, best),
        test="McNemar, exact" if exact else "sign flips",
    )


def paired(arms: dict[str, dict[str, Scores]], task: tuple[str, str], missing: list[str]) -> Pair:
    """Both arms' values on the problems that both could score; the others are counted in
    ``missing``, arm by arm."""
    values = {arm: pooled(seeds, task) for arm, seeds in arms.items()}
    left, right = values.values()
    common = sorted(left.keys() & right.keys())
    items = next(iter(next(iter(arms.values())).values()))[task]
    total = len(items)
    if len(common) < total:
        gone = [
            f"{total - len(found)} without a score in {arm}"
            for arm, found in values.items()
            if len(found) < total
        ]
        missing.append(f"{task[1]}: {len(common)} of {total} problems: {', '.join(gone)}")
    single = all(
        len(seeds) == 1
        and all(len(scores[task][item]) == 1 for scores in seeds.values() for item in common)
        for seeds in arms.values()
    )
    worst, best = (
        float(np.mean([right.get(item, full) - left.get(item, 1 - full) for item in items]))
        for full in (0.0, 1.0)
    )
    return Pair(
        np.array([left[item] for item in common]),
        np.array([right[item] for item in common]),
        total,
        single,
        (worst, best),
    )


def compare(arms: dict[str, dict[str, Scores]], config: Config, missing: list[str]) -> list[Line]:
    """One line per domain (and per task where it has several), then the macro mean over domains;
    ``arms`` are baseline and treatment.

    A domain is the mean over its tasks, the macro mean the mean over domains. What cannot be
    compared is named, and so is the macro.
    """
    tasks: dict[str, list[tuple[str, str]]] = {}
    for task in sorted(next(iter(next(iter(arms.values())).values()))):
        tasks.setdefault(task[0], []).append(task)
    lines: list[Line] = []
    pairs: list[Pair] = []
    weights: list[float] = []
    for domain, members in tasks.items():
        found = [paired(arms, task, missing) for task in members]
        empty = [
            task[1] for task, pair in zip(members, found, strict=True) if not len(pair.baseline)
        ]
        if empty:
            which = f": {', '.join(empty)}" if len(members) > 1 else ""
            lines.append(
                Line(
                    domain,
                    0,
                    missing=f"no problem was scored in both arms{which}",
                    total=sum(pair.total for pair in found),
                )
            )
        else:
            lines.append(line_of(domain, found, [1 / len(found)] * len(found), config))
        if len(members) > 1:
            lines += [
                line_of(task[1], [pair], [1.0], config, task=True)
                if len(pair.baseline)
                else Line(
                    task[1],
                    0,
                    missing="no problem was scored in both arms",
                    task=True,
                    total=pair.total,
                )
                for task, pair in zip(members, found, strict=True)
            ]
        pairs += found
        weights += [1 / len(found) / len(tasks)] * len(found)
    gone = [line.name for line in lines if line.missing and not line.task]
    if gone or not pairs:
        return [
            *adjust(lines),
            Line(MACRO, 0, missing=f"no macro mean: missing domains {', '.join(gone) or '(all)'}"),
        ]
    macro = line_of(MACRO, pairs, weights, config)
    return [*adjust(lines), replace(macro, adjusted=macro.p_value)]


def adjust(lines: list[Line]) -> list[Line]:
    """Correct p-values for how many were looked at: domains among domains, tasks among tasks."""
    domains = [i for i, line in enumerate(lines) if line.p_value is not None and not line.task]
    tasks = [i for i, line in enumerate(lines) if line.p_value is not None and line.task]
    adjusted = dict(zip(domains, holm([lines[i].p_value or 0.0 for i in domains]), strict=True))
    adjusted |= zip(
        tasks, benjamini_hochberg([lines[i].p_value or 0.0 for i in tasks]), strict=True
    )
    return [
        replace(line, adjusted=adjusted[i]) if i in adjusted else line
        for i, line in enumerate(lines)
    ]
