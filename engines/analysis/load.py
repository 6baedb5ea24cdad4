"""Reads what the jobs left: scores by problem, curves over training, what ran where; every file
read is a numbered source."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.analysis.config import Config
from engines.analysis.costs import Cost, read_cost
from engines.contract.config import ConfigError
from engines.contract.progress import read_progress
from engines.contract.results import ResultSource, Row, read_results
from engines.shared.data.contamination import overlap

MUST_BE_EQUAL = (
    "suite",
    "tasks",
    "samples_per_prompt",
    "temperature",
    "top_p",
    "max_prompt_tokens",
    "max_response_tokens",
    "limit",
    "scoring",
    "scoring_seconds",
)
"""Read from the config of evaluations that were made before they said it in their facts; newer ones
are compared by ``must_be_equal`` there."""

Scores = dict[tuple[str, str], dict[str, list[float]]]
"""(domain, task) -> item_id -> values of its samples."""


@dataclass
class Behaviour:
    """How an arm answers the problems of one task, beside whether it is right: sums over
    samples."""

    samples: int = 0
    tokens: int = 0
    cut: int = 0
    """Samples that ended at the token limit."""
    no_answer: int = 0

    def add(self, line: dict[str, Any]) -> None:
        """One line of a scores file."""
        self.samples += 1
        self.tokens += line["tokens"]
        self.cut += line["finish_reason"] == "length"
        self.no_answer += line["status"] == "no_answer"


@dataclass
class Found:
    """Everything that the jobs left."""

    scores: dict[str, dict[str, Scores]] = field(default_factory=dict)
    """arm -> seed -> scores."""
    behaviour: dict[str, dict[tuple[str, str], Behaviour]] = field(default_factory=dict)
    """arm -> (domain, task) -> how it answers."""
    settings: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """(job, what must be the same in all evaluations)."""
    made_with: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """(job, versions and sandbox)."""
    steps: dict[str, dict[str, int]] = field(default_factory=dict)
    """arm -> compared checkpoint, with how many seeds."""
    remarks: dict[str, list[str]] = field(default_factory=dict)
    """What an evaluation says of its data, such as problems left out -> the jobs that do."""
    trained_on_test: list[str] = field(default_factory=list)
    """Trainings that used problems of the evaluation, and how many."""
    evaluations: dict[str, dict[str, tuple[Path, str]]] = field(default_factory=dict)
    """arm -> seed -> output folder and checkpoint of its evaluation."""
    specialists: dict[str, dict[str, Scores]] = field(default_factory=dict)
    """Specialist -> seed -> scores."""
    curves: dict[str, list[tuple[str, list[dict[str, Any]]]]] = field(default_factory=dict)
    """arm -> [(job, lines of progress.jsonl)]."""
    costs: list[Cost] = field(default_factory=list)
    results: list[tuple[ResultSource, list[Row]]] = field(default_factory=list)
    """Every finished job's own rows."""
    missing: list[str] = field(default_factory=list)
    """What is not there, or not alike in both arms."""
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
        raise ConfigError(
            f"{job}: checkpoint '{wanted}' was not evaluated; there are {sorted(found) or 'none'}"
        )
    return wanted


def read_scores(
    path: Path,
    metric: str,
    behaviour: dict[tuple[str, str], Behaviour],
    missing: list[str],
    job: str,
) -> Scores:
    """Values by task and problem. Samples that could not be scored are left out and named in
    ``missing``."""
    scores: Scores = {}
    failed: dict[str, int] = {}
    for text in path.read_text().splitlines():
        line = json.loads(text)
        key = (line["domain"], line["task"])
        values = scores.setdefault(key, {}).setdefault(line["item_id"], [])
        behaviour.setdefault(key, Behaviour()).add(line)
        if line["value"] is None:
            reason = f"{line['task']}: {line['status']}"
            failed[reason] = failed.get(reason, 0) + 1
            continue
        values.append(float(line["value"] == 1.0) if metric == "accuracy" else float(line["value"]))
    missing += [
        f"{job}: {count} sample{'s' if count > 1 else ''} without a score ({reason})"
        for reason, count in sorted(failed.items())
    ]
    return scores


def read_evaluation(
    source: ResultSource, document: dict[str, Any], config: Config, found: Found
) -> None:
    """Add one finished evaluation to its arm."""
    arm, seed = arm_of(source, config), str(source.axes.get("seed", "0"))
    if seed in found.scores[arm]:
        raise ConfigError(
            f"not comparable: two evaluations of arm={arm}, seed={seed}; the second is {source.job}"
        )
    out, facts = Path(source.folder), document["facts"]
    checkpoint = choose_checkpoint(
        document, config.checkpoints.get(source.job, config.checkpoint), source.job
    )
    path = out / "scores" / f"{checkpoint}.jsonl"
    found.scores[arm][seed] = read_scores(
        path, config.metric, found.behaviour[arm], found.missing, source.job
    )
    found.evaluations.setdefault(arm, {})[seed] = (out, checkpoint)
    for file in (out / "results.json", path):
        found.source("scores", file)
    found.settings.append((source.job, settings_of(document)))
    found.made_with.append(
        (source.job, {**facts.get("versions", {}), "sandbox": facts.get("sandbox")})
    )
    step = next(entry["step"] for entry in facts["checkpoints"] if entry["name"] == checkpoint)
    shown = f"{checkpoint} (step {step})"
    found.steps.setdefault(arm, {})[shown] = found.steps.setdefault(arm, {}).get(shown, 0) + 1
    for said in facts.get("remarks", []):
        found.remarks.setdefault(said, []).append(source.job)


def settings_of(document: dict[str, Any]) -> dict[str, Any]:
    """What must be the same in all evaluations: what the evaluation says of its config, and what
    each task was sampled with (the suite says some of it)."""
    facts, config = document["facts"], document["config"]
    tasks = {task: fact["settings"] for task, fact in facts.get("tasks", {}).items()}
    settings: dict[str, Any] = dict(facts.get("must_be_equal", ()))
    if not settings:
        settings = {key: config[key] for key in MUST_BE_EQUAL if key in config}
    for key in {key for each in tasks.values() for key in each}:
        values = {task: each[key] for task, each in tasks.items()}
        same = len(set(values.values())) == 1
        settings |= (
            {key: next(iter(values.values()))}
            if same
            else {f"{key} of {task}": value for task, value in values.items()}
        )
    return settings


def read_specialists(config: Config, found: Found) -> None:
    """Add the evaluations of the specialists; they must be comparable with the others."""
    other = Found()
    for source in config.specialists:
        other.scores.setdefault(arm_of(source, config), {})
        other.behaviour.setdefault(arm_of(source, config), {})
        read_evaluation(source, read_results(Path(source.folder))[1], config, other)
    found.specialists = other.scores
    found.settings += other.settings
    found.made_with += other.made_with
    found.missing += other.missing
    for said, jobs in other.remarks.items():
        found.remarks.setdefault(said, []).extend(jobs)
    for file in other.files:
        found.source("specialists", file)


def read_training(
    source: ResultSource, document: dict[str, Any], tested: Any, found: Found
) -> None:
    """Name the problems of the evaluation that a training used, or that nobody could look.

    A training that was not told what the evaluation uses (``tested``, its ``data``) is looked at
    here, while its files are there.
    """
    if "test_data" not in document["facts"]:
        return  # of an engine that does not train on problems
    test_data = document["facts"]["test_data"]
    if test_data is None:
        try:
            if tested is None:
                raise ConfigError("no test_data is given")
            test_data = overlap(document["config"]["data"], tested)
        except (ConfigError, OSError) as error:
            found.missing.append(
                f"{source.job}: whether it trained on problems of the evaluation was not "
                f"checked: {error}"
            )
            return
    for name, told in (("in_training", found.trained_on_test), ("in_validation", found.missing)):
        shared = ", ".join(
            f"{task} {count}" for task, count in test_data.get(name, {}).items() if count
        )
        if shared:
            told.append(
                f"{source.job}: problems of the evaluation {name.replace('_', ' ')}: {shared}"
            )


def check_settings(found: Found) -> None:
    """ConfigError unless all evaluations sampled and scored alike; unlike versions and checkpoints
    are named in ``missing``."""
    for job, settings in found.settings[1:]:
        first_job, first = found.settings[0]
        changed = [
            f"{key} is {first.get(key)!r} in {first_job} and {settings.get(key)!r} in {job}"
            for key in sorted(first.keys() | settings.keys())
            if first.get(key) != settings.get(key)
        ]
        if changed:
            raise ConfigError(
                f"not comparable: {'; '.join(changed)}; evaluate both with the same settings"
            )
    for name in sorted({name for _, made in found.made_with for name in made}):
        values = sorted({str(made.get(name)) for _, made in found.made_with})
        if len(values) > 1:
            found.missing.append(
                f"the evaluations were made with unlike {name}: {', '.join(values)}"
            )
    if len({name for shown in found.steps.values() for name in shown}) > 1:
        each = "; ".join(f"{arm} {', '.join(sorted(shown))}" for arm, shown in found.steps.items())
        found.missing.append(f"the compared checkpoints are not of the same step: {each}")
    for said, jobs in sorted(found.remarks.items()):
        found.missing.append(
            f"{said} ({'all evaluations' if len(jobs) == len(found.settings) else ', '.join(jobs)})"
        )


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
        found.scores[arm], found.behaviour[arm] = {}, {}
    trainings: list[tuple[ResultSource, dict[str, Any]]] = []
    tested: Any = None
    for source in config.inputs:
        out = Path(source.folder)
        progress = [
            line for line in read_progress(out) if line["phase"] not in ("evaluate", "score")
        ]
        if progress and arm_of(source, config) in found.scores:
            found.curves.setdefault(arm_of(source, config), []).append((source.job, progress))
            found.source("curves", out / "progress.jsonl")
        if not (out / "results.json").exists():
            found.missing.append(f"{source.job}: no results.json, the job is not done")
            continue
        rows, document = read_results(out)
        found.results.append((source, rows))
        if document["engine"] == "evaluation" and arm_of(source, config) in found.scores:
            read_evaluation(source, document, config, found)
            tested = document["config"].get("data")
        if document["engine"] != "evaluation":
            trainings.append((source, document))
    for source, document in trainings:
        read_training(source, document, tested, found)
    found.missing += found.trained_on_test
    read_specialists(config, found)
    check_settings(found)
    found.costs = [read_cost(source.job, Path(source.folder)) for source in config.inputs]
    for cost in found.costs:
        found.missing += [f"cost of {cost.job}: {reason}" for reason in cost.unknown]
        for path in cost.files:
            found.source("costs", path)
    for source, _ in found.results:
        found.source("rows", Path(source.folder) / "results.json")
    return found
