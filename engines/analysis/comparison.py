"""Compares the two arms, problem by problem: domains, their tasks, and the macro mean."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engines.analysis import Config
from engines.analysis.reading import Scores
from engines.io import ConfigError
from engines.statistics import (
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
    """Of no difference: exact McNemar where every problem is 0 or 1, else a randomisation test over signs."""
    adjusted: float | None = None
    """``p_value`` after Holm over domains, after Benjamini and Hochberg over tasks."""
    task: bool = False
    """Whether this is one of several tasks of the domain above."""
    missing: str = ""
    """Why there is no difference; empty if there is one."""


def check_items(found: dict[str, dict[str, Scores]]) -> None:
    """ConfigError unless every evaluation saw the same problems."""
    sets = [(f"{arm}, seed {seed}", {task: set(items) for task, items in scores.items()})
            for arm, seeds in found.items() for seed, scores in seeds.items()]
    for name, items in sets[1:]:
        for task in sorted(items.keys() | sets[0][1].keys()):
            ours, first = items.get(task, set()), sets[0][1].get(task, set())
            if ours != first:
                raise ConfigError(f"not comparable: {task[1]} has {len(first)} problems in {sets[0][0]} and {len(ours)} in {name}, "
                                  f"{len(ours & first)} in common; evaluate both on the same data")


def pooled(seeds: dict[str, Scores], task: tuple[str, str]) -> dict[str, float]:
    """Mean over samples, then over seeds, of each problem that every seed could score."""
    first = next(iter(seeds.values()))
    means = {item: [np.mean(s[task][item]) for s in seeds.values() if s[task][item]] for item in first[task]}
    return {item: float(np.mean(values)) for item, values in means.items() if len(values) == len(seeds)}


def line_of(name: str, pairs: list[tuple[Array, Array]], weights: list[float], config: Config, task: bool = False) -> Line:
    """Scores of both arms and their difference, each group of problems with its weight."""
    left, right = [a for a, _ in pairs], [b for _, b in pairs]
    apart = [b - a for a, b in pairs]

    def score(groups: list[Array]) -> Interval:
        values = groups[0]
        if len(groups) == 1 and len(values) < 100 and bool(np.isin(values, (0.0, 1.0)).all()):
            return wilson(float(values.sum()), len(values))
        return paired_bootstrap(groups, config.seed, config.draws, weights)

    binary = len(apart) == 1 and bool(np.isin(np.concatenate([*left, *right]), (0.0, 1.0)).all())
    p_value = mcnemar(apart[0]) if binary else sign_flip(apart, config.seed, config.draws, weights)
    return Line(name, sum(len(a) for a in left), score(left), score(right), paired_bootstrap(apart, config.seed, config.draws, weights),
                minimum_detectable(apart, weights), p_value, task=task)


def paired(base: dict[str, Scores], treat: dict[str, Scores], task: tuple[str, str], missing: list[str]) -> tuple[Array, Array]:
    """Both arms' values on the problems that both could score; the others are counted in ``missing``."""
    left, right = pooled(base, task), pooled(treat, task)
    common = sorted(left.keys() & right.keys())
    total = len(next(iter(base.values()))[task])
    if 0 < len(common) < total:
        missing.append(f"{task[1]}: {len(common)} of {total} problems are compared; the others have no score in some evaluation")
    return np.array([left[item] for item in common]), np.array([right[item] for item in common])


def compare(base: dict[str, Scores], treat: dict[str, Scores], config: Config, missing: list[str]) -> list[Line]:
    """One line per domain (and per task where it has several), then the macro mean over domains.

    A domain is the mean over its tasks, the macro mean the mean over domains. What cannot be compared is named, and so is the macro.
    """
    tasks: dict[str, list[tuple[str, str]]] = {}
    for task in sorted(next(iter(base.values()))):
        tasks.setdefault(task[0], []).append(task)
    lines: list[Line] = []
    pairs: list[tuple[Array, Array]] = []
    weights: list[float] = []
    for domain, members in tasks.items():
        found = [paired(base, treat, task, missing) for task in members]
        empty = [task[1] for task, (a, _) in zip(members, found, strict=True) if not len(a)]
        if empty:
            which = f": {', '.join(empty)}" if len(members) > 1 else ""
            lines.append(Line(domain, 0, missing=f"no problem was scored in both arms{which}"))
            continue
        lines.append(line_of(domain, found, [1 / len(found)] * len(found), config))
        if len(members) > 1:
            lines += [line_of(task[1], [pair], [1.0], config, task=True) for task, pair in zip(members, found, strict=True)]
        pairs += found
        weights += [1 / len(found)] * len(found)
    gone = [line.name for line in lines if line.missing]
    if gone or not pairs:
        return [*adjust(lines), Line(MACRO, 0, missing=f"no macro mean: missing domains {', '.join(gone) or '(all)'}")]
    return [*adjust(lines), line_of(MACRO, pairs, [weight / len(tasks) for weight in weights], config)]


def adjust(lines: list[Line]) -> list[Line]:
    """Correct p-values for how many were looked at: domains among domains, tasks among tasks."""
    domains = [i for i, line in enumerate(lines) if line.p_value is not None and not line.task]
    tasks = [i for i, line in enumerate(lines) if line.p_value is not None and line.task]
    adjusted = dict(zip(domains, holm([lines[i].p_value or 0.0 for i in domains]), strict=True))
    adjusted |= zip(tasks, benjamini_hochberg([lines[i].p_value or 0.0 for i in tasks]), strict=True)
    return [replace(line, adjusted=adjusted[i]) if i in adjusted else line for i, line in enumerate(lines)]
