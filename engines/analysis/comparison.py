"""Reads what the jobs left and compares the two arms, problem by problem."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engines.analysis import Config
from engines.io import ConfigError, ResultSource, read_progress, read_results
from engines.statistics import Array, Interval, minimum_detectable, paired_bootstrap, t_interval, wilson

Scores = dict[str, dict[str, list[float]]]
"""domain -> item_id -> values of its samples."""


@dataclass(frozen=True)
class Line:
    """One line of the comparison: a domain, or the macro mean."""

    name: str
    n: int
    baseline: Interval | None = None
    treatment: Interval | None = None
    difference: Interval | None = None
    detectable: float | None = None
    missing: str = ""
    """Why there is no difference; empty if there is one."""


@dataclass
class Report:
    """Everything the report says."""

    config: Config
    lines: list[Line] = field(default_factory=list)
    seeds: dict[str, list[str]] = field(default_factory=dict)
    over_seeds: Interval | None = None
    curves: dict[str, list[tuple[str, list[dict[str, Any]]]]] = field(default_factory=dict)
    """arm -> [(job, progress lines)]."""
    costs: list[list[str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


def arm_of(source: ResultSource, config: Config) -> str:
    """The source's value on the compared axis, "" if it has none."""
    return str(source.axes.get(config.compare.axis, ""))


def choose_checkpoint(document: dict[str, Any], wanted: str, job: str) -> str:
    """Name of the evaluated checkpoint to compare; ConfigError if it was not evaluated."""
    found = {entry["name"]: entry for entry in document["facts"].get("checkpoints", [])}
    if wanted == "last" and found:
        return str(max(found.values(), key=lambda entry: (entry["step"], entry["name"]))["name"])
    if wanted not in found:
        raise ConfigError(f"{job}: checkpoint '{wanted}' was not evaluated; there are {sorted(found) or 'none'}")
    return wanted


def read_scores(path: Path, metric: str, missing: list[str], job: str) -> Scores:
    """Values by domain and problem. Samples that could not be scored are left out and named in ``missing``."""
    scores: Scores = {}
    failed: dict[str, int] = {}
    for text in path.read_text().splitlines():
        line = json.loads(text)
        problems = scores.setdefault(line["domain"], {})
        values = problems.setdefault(line["item_id"], [])
        if line["value"] is None:
            reason = f"{line['domain']}: {line['status']}"
            failed[reason] = failed.get(reason, 0) + 1
            continue
        values.append(float(line["value"] == 1.0) if metric == "accuracy" else float(line["value"]))
    missing += [f"{job}: {count} samples without a score ({reason})" for reason, count in sorted(failed.items())]
    return scores


def arms(config: Config, report: Report) -> dict[str, dict[str, Scores]]:
    """arm -> seed -> scores, of all evaluation jobs that are done."""
    found: dict[str, dict[str, Scores]] = {config.compare.baseline: {}, config.compare.treatment: {}}
    for source in config.inputs:
        out = Path(source.folder)
        if not (out / "results.json").exists():
            report.missing.append(f"{source.job}: no results.json, the job is not done")
            continue
        document = read_results(out)[1]
        report.sources.append(f"{source.job}: {out / 'results.json'}")
        arm = arm_of(source, config)
        if document["engine"] != "evaluation" or arm not in found:
            continue
        path = out / "scores" / f"{choose_checkpoint(document, config.checkpoint, source.job)}.jsonl"
        seed = str(source.axes.get("seed", "0"))
        if seed in found[arm]:
            raise ConfigError(f"not comparable: two evaluations of arm={arm}, seed={seed}; the second is {source.job}")
        found[arm][seed] = read_scores(path, config.metric, report.missing, source.job)
        report.sources.append(f"{source.job}: {path}")
    return found


def check_items(found: dict[str, dict[str, Scores]]) -> None:
    """ConfigError unless every evaluation saw the same problems."""
    sets = [(f"{arm}, seed {seed}", {d: set(items) for d, items in scores.items()})
            for arm, seeds in found.items() for seed, scores in seeds.items()]
    for name, items in sets[1:]:
        for domain in sorted(items.keys() | sets[0][1].keys()):
            ours, first = items.get(domain, set()), sets[0][1].get(domain, set())
            if ours != first:
                raise ConfigError(f"not comparable: {domain} has {len(first)} problems in {sets[0][0]} and {len(ours)} in {name}, "
                                  f"{len(ours & first)} in common; evaluate both on the same data")


def pooled(seeds: dict[str, Scores], domain: str) -> dict[str, float]:
    """Mean over samples, then over seeds, of each problem that every seed could score."""
    first = next(iter(seeds.values()))
    means = {item: [np.mean(s[domain][item]) for s in seeds.values() if s[domain][item]] for item in first[domain]}
    return {item: float(np.mean(values)) for item, values in means.items() if len(values) == len(seeds)}


def single(values: Array, config: Config) -> Interval:
    """One arm's score: Wilson for few 0/1 problems, else bootstrap."""
    if len(values) < 100 and bool(np.isin(values, (0.0, 1.0)).all()):
        return wilson(float(values.sum()), len(values))
    return paired_bootstrap([values], config.seed, config.draws)


def compare_seeds(base: dict[str, Scores], treat: dict[str, Scores], config: Config) -> list[Line]:
    """One line per domain, then the macro mean over domains; a domain that cannot be compared is named, and so is the macro."""
    lines, pairs = [], []
    for domain in sorted(next(iter(base.values()))):
        left, right = pooled(base, domain), pooled(treat, domain)
        common = sorted(left.keys() & right.keys())
        if not common:
            lines.append(Line(domain, 0, missing="no problem was scored in both arms"))
            continue
        a, b = np.array([left[item] for item in common]), np.array([right[item] for item in common])
        pairs.append((a, b))
        lines.append(Line(domain, len(common), single(a, config), single(b, config),
                          paired_bootstrap([b - a], config.seed, config.draws), minimum_detectable([b - a])))
    gone = [line.name for line in lines if line.missing]
    if gone or not pairs:
        return [*lines, Line("macro mean", 0, missing=f"no macro mean: missing domains {', '.join(gone) or '(all)'}")]
    columns = [[a for a, _ in pairs], [b for _, b in pairs], [b - a for a, b in pairs]]
    left_all, right_all, apart = (paired_bootstrap(column, config.seed, config.draws) for column in columns)
    return [*lines, Line("macro mean", sum(len(a) for a, _ in pairs), left_all, right_all, apart, minimum_detectable(columns[2]))]


def seconds_of(source: ResultSource) -> list[str]:
    """Host, seconds and attempts of a job, from its exit records."""
    records = sorted(Path(source.folder).parent.glob("attempt-*/exit.json"))
    if not records:
        return [source.job, "missing: no exit record", "", ""]
    read = [json.loads(path.read_text()) for path in records]
    seconds = sum(float(r["ended"]) - float(r["started"]) for r in read)
    return [source.job, ", ".join(sorted({str(r["host"]) for r in read})), f"{seconds:.0f}", str(len(read))]


def make_report(config: Config) -> Report:
    """Read every input, compare what can be compared, name what is missing."""
    report = Report(config)
    found = arms(config, report)
    report.seeds = {arm: sorted(seeds) for arm, seeds in found.items()}
    empty = [arm for arm, seeds in found.items() if not seeds]
    if empty:
        reason = f"no finished evaluation of {' and '.join(empty)}"
        report.lines = [Line("macro mean", 0, missing=reason)]
        report.missing.append(reason)
    else:
        check_items(found)
        base, treat = found[config.compare.baseline], found[config.compare.treatment]
        report.lines = compare_seeds(base, treat, config)
        common = sorted(base.keys() & treat.keys())
        per_seed = [compare_seeds({s: base[s]}, {s: treat[s]}, config)[-1].difference for s in common]
        if len(common) > 1 and all(per_seed):
            report.over_seeds = t_interval([d.value for d in per_seed if d])
    for source in config.inputs:
        report.costs.append(seconds_of(source))
        progress = [line for line in read_progress(Path(source.folder)) if line["phase"] != "evaluate"]
        if progress and arm_of(source, config):
            report.curves.setdefault(arm_of(source, config), []).append((source.job, progress))
    return report
