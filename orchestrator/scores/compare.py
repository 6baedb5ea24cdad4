"""`orch compare A B`: two evaluations, wherever they lie, compared by the report's own program; and
a gate on what it finds.

In: the two sides in words, which sides.py resolves. Out: a folder with the report; for a gate, why
it fails. Called by the command.
"""

from __future__ import annotations

import csv
import operator
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.contract.counting.between import run_heard
from jobs.stages import digest
from orchestrator.errors import RunError
from orchestrator.node.system import write_json
from orchestrator.runs.layout import RESULTS
from orchestrator.runs.lookup import runs_root
from orchestrator.scores.own.paired import paired_config, run_of
from orchestrator.scores.sides import Candidate, Side, resolve


def config_of(sides: Sequence[Side], specialists: Sequence[Side], metric: str) -> dict[str, Any]:
    """The config of ``engines.analysis`` that answers the question."""
    inputs: dict[str, dict[str, Any]] = {}
    for side in sides:
        for one in side.chosen:
            source = source_of(one, side.label)
            inputs[source["job"]] = source
            if one.training is not None:
                name, folder = one.training
                job = f"{name} [{side.label}]"
                inputs[job] = {**source, "job": job, "stage": "train", "folder": str(folder)}
    compared = [(one, side.label) for side in sides for one in side.chosen]
    special = [(one, side.label) for side in specialists for one in side.chosen]
    return {
        "inputs": list(inputs.values()),
        "compare": {"axis": "arm", "baseline": sides[0].label, "treatment": sides[1].label},
        "specialists": [source_of(one, label) for one, label in special],
        "metric": metric,
        "checkpoints": {job_of(one, label): one.checkpoint for one, label in [*compared, *special]},
    }


def job_of(one: Candidate, label: str) -> str:
    """What the report calls a candidate."""
    return f"{one.job}@{one.name} [{label}]"


def source_of(one: Candidate, label: str) -> dict[str, Any]:
    """A candidate as an input of the report; its side is the arm."""
    return {
        "job": job_of(one, label),
        "stage": "evaluate",
        "axes": {"arm": label, "seed": one.axes.get("seed", 0)},
        "folder": str(one.out),
    }


def compare(
    a: str, b: str, specialists: Sequence[str], metric: str | None, out: Path | None
) -> Path:
    """Write the comparison and return its folder; done before, it is the same folder. RunError says
    why A and B cannot be compared.

    Args:
        metric: None: the accuracy of evaluations; of commands every metric that both sides have.
    """
    first, second = run_of(a), run_of(b)
    if first is None or second is None:
        config = judged_config(a, b, specialists, metric or "accuracy")
        return written(config, config["inputs"], "engines.analysis", out)
    if specialists:
        raise RunError("--specialist: goes with evaluations by the engine; leave it out here")
    config = paired_config((a, b), (first, second), metric)
    inputs = [*config["baseline"]["jobs"], *config["treatment"]["jobs"]]
    return written(config, inputs, "engines.analysis.paired", out)


def judged_config(a: str, b: str, specialists: Sequence[str], metric: str) -> dict[str, Any]:
    """The config for two evaluations by the engine, problem by problem."""
    sides = [resolve(a), resolve(b)]
    scored = [{(one.out, one.checkpoint) for one in side.chosen} for side in sides]
    if scored[0] == scored[1]:
        raise RunError(f"{a} and {b} are the same evaluation; name two")
    return config_of(sides, [resolve(spec) for spec in specialists], metric)


def written(
    config: dict[str, Any], inputs: Sequence[dict[str, Any]], program: str, out: Path | None
) -> Path:
    """Have the program write the comparison, and return its folder."""
    content = digest([config, times_of(inputs)])
    folder = out or runs_root() / "comparisons" / content[:12]
    folder.mkdir(parents=True, exist_ok=True)
    held = folder / "inputs.sha256"
    if (folder / "config.json").exists() and held.read_text() != content:
        raise RunError(f"--out {out}: holds another comparison; name another folder")
    held.write_text(content)
    write_json(folder / "config.json", config)
    run_report(folder, program)
    return folder


def times_of(inputs: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """When the results of each input were written: others make another comparison."""
    times = []
    for source in inputs:
        results = Path(source["folder"]) / RESULTS
        if results.exists():
            times.append([source["folder"], results.stat().st_mtime_ns])
    return times


def run_report(folder: Path, program: str) -> None:
    """Run the report's program on the config in a folder. RunError with its own last line."""
    config = folder / "config.json"
    # A process of its own, because a report imports packages that a login node may lack. -P: what
    # lies in the current folder is not imported in place of the engines.
    command = [sys.executable, "-P", "-m", program, str(config), "--out", str(folder)]
    done = run_heard(command)
    if done.returncode == 0:
        return
    # The last line is the error; warnings of libraries may stand before it.
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    reason = lines[-1].removeprefix(f"{program}: ").replace(f"{config}: ", "")
    if "ModuleNotFoundError" in lines[-1]:
        reason += (
            "; install the engines here (pip install 'slurm-ml-orchestrator[engines]'), or run it "
            "where they are"
        )
    raise RunError(reason)


OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
COLUMNS = {
    "difference": "difference",
    "low": "low",
    "high": "high",
    "baseline": "baseline",
    "treatment": "treatment",
    "p": "p",
    "p_adjusted": "p_adjusted",
    "accuracy": "treatment",
    "score": "treatment",
}
"""What a condition may ask for -> column of ``table.csv``; accuracy and score mean the
treatment's."""
# "0.5", "-0.02", ".5", "1e-3".
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
CONDITION = re.compile(rf"\s*(?:(domain|task|metric)=(\S+)\s+)?(\w+)\s*(<=|>=|<|>)\s*({NUMBER})\s*")
"""Axis, its value, what is asked for, operator, number."""


@dataclass(frozen=True)
class Condition:
    """``domain=math difference<-0.02``; without a domain or task it asks for the macro mean."""

    text: str
    column: str
    compare: str
    bound: float
    axis: str = "domain"
    where: str = "macro mean"


def condition(text: str) -> Condition:
    """Parse one condition. RunError shows the grammar; nothing is ever evaluated as code."""
    match = CONDITION.fullmatch(text)
    if match is None or match[3] not in COLUMNS:
        raise RunError(
            f"--fail-if {text!r}: must be [domain=NAME|task=NAME|metric=NAME] WHAT < NUMBER, "
            "with <, <=, > or >=, and WHAT one of "
            f"{', '.join(COLUMNS)}; shares, not per cent: 'domain=math difference<-0.02'"
        )
    axis, where, asked, compare, bound = match.groups()
    return Condition(
        text=text,
        column=COLUMNS[asked],
        compare=compare,
        bound=float(bound),
        axis=axis or "domain",
        where=where or "macro mean",
    )


def holds(asked: Condition, folder: Path) -> str:
    """Why the gate fails by this condition, "" if it does not. A number that is missing fails:
    nothing shows that it is well.

    RunError for a domain, task or metric that the comparison does not have.
    """
    reasons = [holds_of(asked, line) for line in lines_of(asked, compared_rows(folder))]
    return next(filter(None, reasons), "")


def holds_of(asked: Condition, line: dict[str, str]) -> str:
    """The same of one line."""
    value = line[asked.column]
    # A number that is None is an empty cell in CSV.
    if value == "":
        return f"{asked.text}: there is no such number: {line['missing'] or 'it was not computed'}"
    if OPERATORS[asked.compare](float(value), asked.bound):
        return f"{asked.text}: {asked.column} is {float(value):.4f}"
    return ""


def compared_rows(folder: Path) -> list[dict[str, str]]:
    """The lines of ``table.csv`` of a comparison, as text."""
    with (folder / "table.csv").open() as file:
        return list(csv.DictReader(file))


def lines_of(asked: Condition, lines: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The lines of ``table.csv`` that a condition asks about: one, or of what commands have
    measured each setting's."""
    if "metric" in lines[0]:
        return measured_lines(asked, lines)
    tasks = [line for line in lines if asked.axis == "task" and line["task"] == asked.where]
    # A domain of one task has one line, which is the task's too.
    domains = [line for line in lines if not line["task"] and line["domain"] == asked.where]
    found = tasks or domains
    if not found:
        names = sorted({line[asked.axis] for line in lines if line[asked.axis]})
        raise RunError(
            f"--fail-if {asked.text!r}: no {asked.axis} '{asked.where}'; there are: "
            f"{', '.join(names)}"
        )
    return found[:1]


def measured_lines(asked: Condition, lines: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Those of the metric that is asked for, all where none is."""
    if asked.axis != "metric" and asked.where != "macro mean":
        raise RunError(f"--fail-if {asked.text!r}: here it is metric=NAME, as commands measure")
    found = [line for line in lines if asked.axis != "metric" or line["metric"] == asked.where]
    if not found:
        names = sorted({line["metric"] for line in lines})
        raise RunError(
            f"--fail-if {asked.text!r}: no metric '{asked.where}'; there are: {', '.join(names)}"
        )
    return found
