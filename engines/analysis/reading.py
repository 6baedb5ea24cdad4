"""Reads what the jobs left: scores by problem, curves over training, what ran where; every file read is a numbered source."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.analysis import Config
from engines.io import ConfigError, ResultSource, read_progress, read_results

Scores = dict[tuple[str, str], dict[str, list[float]]]
"""(domain, task) -> item_id -> values of its samples."""


@dataclass
class Behaviour:
    """How one arm answers, beside whether it is right: sums over its samples."""

    samples: int = 0
    tokens: int = 0
    cut: int = 0
    """Samples that ended at the token limit."""
    no_answer: int = 0


@dataclass
class Found:
    """Everything that the jobs left."""

    scores: dict[str, dict[str, Scores]] = field(default_factory=dict)
    """arm -> seed -> scores."""
    behaviour: dict[str, Behaviour] = field(default_factory=dict)
    """arm -> how it answers."""
    curves: dict[str, list[tuple[str, list[dict[str, Any]]]]] = field(default_factory=dict)
    """arm -> [(job, lines of progress.jsonl)]."""
    costs: list[list[str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    """Source number k is ``files[k - 1]``."""
    uses: dict[str, list[int]] = field(default_factory=dict)
    """What is shown (scores, curves, costs) -> numbers of its sources."""

    def source(self, use: str, path: Path) -> int:
        """The number of a file, which is given one at its first use."""
        if path not in self.files:
            self.files.append(path)
        number = self.files.index(path) + 1
        if number not in self.uses.setdefault(use, []):
            self.uses[use].append(number)
        return number


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


def read_scores(path: Path, metric: str, behaviour: Behaviour, missing: list[str], job: str) -> Scores:
    """Values by task and problem. Samples that could not be scored are left out and named in ``missing``."""
    scores: Scores = {}
    failed: dict[str, int] = {}
    for text in path.read_text().splitlines():
        line = json.loads(text)
        values = scores.setdefault((line["domain"], line["task"]), {}).setdefault(line["item_id"], [])
        behaviour.samples += 1
        behaviour.tokens += line["tokens"]
        behaviour.cut += line["finish_reason"] == "length"
        behaviour.no_answer += line["status"] == "no_answer"
        if line["value"] is None:
            reason = f"{line['task']}: {line['status']}"
            failed[reason] = failed.get(reason, 0) + 1
            continue
        values.append(float(line["value"] == 1.0) if metric == "accuracy" else float(line["value"]))
    missing += [f"{job}: {count} samples without a score ({reason})" for reason, count in sorted(failed.items())]
    return scores


def read_evaluation(source: ResultSource, document: dict[str, Any], config: Config, found: Found) -> None:
    """Add one finished evaluation to its arm."""
    arm, seed = arm_of(source, config), str(source.axes.get("seed", "0"))
    if seed in found.scores[arm]:
        raise ConfigError(f"not comparable: two evaluations of arm={arm}, seed={seed}; the second is {source.job}")
    path = Path(source.folder) / "scores" / f"{choose_checkpoint(document, config.checkpoint, source.job)}.jsonl"
    found.scores[arm][seed] = read_scores(path, config.metric, found.behaviour[arm], found.missing, source.job)
    found.source("scores", path)
    for task, count in document["facts"].get("too_long_prompts", {}).items():
        if count:
            found.source("scores", Path(source.folder) / "results.json")
            found.missing.append(f"{source.job}: {count} problems of {task} were left out: their prompts are too long")


def read_costs(source: ResultSource, found: Found) -> list[float]:
    """Add where a job ran and what it took; returns hours, CPU-hours and GPU-hours."""
    paths = sorted(Path(source.folder).parent.glob("attempt-*/exit*.json"))
    if not paths:
        found.costs.append([source.job, "missing: no exit record", "", "", "", "", "", "", ""])
        return [0.0, 0.0, 0.0]
    numbers = [found.source("costs", path) for path in paths]
    records = [json.loads(path.read_text()) for path in paths]
    # A requeued attempt's newest record lies beside a numbered copy of each before it; one restart has one record.
    records = list({(record["token"], record["restart"]): record for record in records}.values())
    if any(record.get("resources") is None for record in records):
        found.costs.append([source.job, "missing: an exit record of an older version", "", "", "", "", "", "", labels(numbers)])
        return [0.0, 0.0, 0.0]
    hours = [(float(record["ended"]) - float(record["started"])) / 3600 for record in records]
    asked = [(record["resources"]["nodes"] * record["resources"]["cpus"], record["resources"]["nodes"] * record["resources"]["gpus"])
             for record in records]
    sums = [sum(hours), sum(h * cpus for h, (cpus, _) in zip(hours, asked, strict=True)),
            sum(h * gpus for h, (_, gpus) in zip(hours, asked, strict=True))]
    hosts = ", ".join(sorted({str(record["host"]) for record in records}))
    cpus, gpus = asked[-1]
    found.costs.append([source.job, hosts, str(cpus), str(gpus), *[f"{value:.3f}" for value in sums], str(len(records)), labels(numbers)])
    return sums


def labels(numbers: list[int]) -> str:
    """Source numbers as text, runs joined: [1-3, 7]."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return f"[{', '.join(str(a) if a == b else f'{a}-{b}' for a, b in spans)}]" if spans else ""


def read_jobs(config: Config) -> Found:
    """Read every input; what is not there is named in ``missing``."""
    found = Found()
    for arm in (config.compare.baseline, config.compare.treatment):
        found.scores[arm], found.behaviour[arm] = {}, Behaviour()
    totals = [0.0, 0.0, 0.0]
    for source in config.inputs:
        out = Path(source.folder)
        totals = [a + b for a, b in zip(totals, read_costs(source, found), strict=True)]
        progress = [line for line in read_progress(out) if line["phase"] != "evaluate"]
        if progress and arm_of(source, config):
            found.curves.setdefault(arm_of(source, config), []).append((source.job, progress))
            found.source("curves", out / "progress.jsonl")
        if not (out / "results.json").exists():
            found.missing.append(f"{source.job}: no results.json, the job is not done")
            continue
        document = read_results(out)[1]
        if document["engine"] == "evaluation" and arm_of(source, config) in found.scores:
            read_evaluation(source, document, config, found)
    found.costs.append(["sum", "", "", "", *[f"{value:.3f}" for value in totals], "", ""])
    return found
