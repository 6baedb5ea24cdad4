"""`orch compare A B`: two evaluations, wherever they lie, compared by the report's own program; and
a gate on what it finds."""

from __future__ import annotations

import csv
import operator
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.contract.checkpoints import best, complete
from engines.contract.results import read_results
from jobs.stages import Point, digest
from orchestrator.errors import RunError
from orchestrator.node.system import write_json
from orchestrator.planning.plan import RUN
from orchestrator.runs.lookup import find_run, runs_root
from orchestrator.runs.run import Run, named
from orchestrator.scores import evolution as kept


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One evaluated checkpoint."""

    job: str
    axes: Point
    checkpoint: str
    """Its name in the evaluation."""
    name: str
    """Its name in the training."""
    step: int
    epoch: int
    out: Path
    training: tuple[str, Path] | None
    """Job name and output folder of what made it, where that is known."""
    is_best: bool | None
    """Whether the training ranks it first; None where it does not rank."""


@dataclass(frozen=True)
class Side:
    """What A or B stands for: one checkpoint for each training seed."""

    label: str
    chosen: tuple[Candidate, ...]


def resolve(spec: str) -> Side:
    """``RUN[:JOB][@CHECKPOINT]``, ``:JOB`` of the newest run, or an evaluation's output folder.
    RunError lists what it may have meant."""
    place, _, checkpoint = (
        spec.rpartition("@") if "@" in spec and not Path(spec).exists() else (spec, "", "last")
    )
    if (Path(place) / "results.json").is_file():
        found = of_evaluation(Path(place).name, {}, Path(place).resolve())
    else:
        run_name, _, job = place.partition(":")
        found = of_run(find_run(run_name or None), job)
    groups: dict[tuple[Any, ...], list[Candidate]] = {}
    for one in found:
        groups.setdefault(tuple(sorted(one.axes.items())), []).append(one)
    arms = {tuple((axis, value) for axis, value in key if axis != "seed") for key in groups}
    if len(arms) > 1:
        told = sorted({one.job for one in found})
        raise RunError(
            f"{spec}: {len(arms)} arms; name one, as in "
            f"{place.partition(':')[0]}:{told[0]}; there are: {', '.join(told[:12])}"
        )
    return Side(spec, tuple(pick(group, checkpoint, spec) for group in groups.values()))


def of_run(run: Run, job: str) -> list[Candidate]:
    """The evaluated checkpoints of a run, of the jobs that ``job`` names. RunError if there is
    none."""
    evolution = kept.read(run.folder)
    if evolution is not None:
        found = [one for one in of_evolution(run, evolution) if job in one.job]
        known = sorted({one.job for one in of_evolution(run, evolution)})
    else:
        jobs = [
            one
            for one in run.plan.jobs
            if one.engine == "evaluation"
            and one.name not in run.plan.short_canaries
            and (run.job_folder(one) / "out" / "results.json").exists()
        ]
        wanted = named(run, [job]) if job else None
        found = [
            candidate
            for one in jobs
            if wanted is None or one.name in wanted
            for candidate in of_evaluation(one.name, dict(one.axes), run.job_folder(one) / "out")
        ]
        known = [one.name for one in jobs]
    if not found:
        raise RunError(
            f"{run.name}{f':{job}' if job else ''}: no finished evaluation; there are: "
            f"{', '.join(known) or 'none yet'}"
        )
    return found


def of_evaluation(job: str, axes: Point, out: Path) -> list[Candidate]:
    """The checkpoints that a finished evaluation scored."""
    _, document = read_results(out)
    if document["engine"] != "evaluation":
        raise RunError(
            f"{out}: results of engine '{document['engine']}'; `orch compare` needs those "
            "of 'evaluation'"
        )
    models = document["config"]["models"]
    training = Path(models["folder"]) if isinstance(models, dict) else None
    first = None
    if training is not None and (
        ranked := [one for one in complete(training) if one.manifest.rank_by]
    ):
        first = best(ranked).manifest.name
    return [
        Candidate(
            job=job,
            axes=axes,
            checkpoint=one["name"],
            name=one["name"],
            step=one["step"],
            epoch=one["epoch"],
            out=out,
            training=(training.parent.name, training)
            if training is not None and training.is_dir()
            else None,
            is_best=None if first is None else one["name"] == first,
        )
        for one in document["facts"]["checkpoints"]
    ]


def of_evolution(run: Run, evolution: kept.Evolution) -> list[Candidate]:
    """The scored checkpoints of an evolution, whoever scored them."""
    source = find_run(evolution.source) if evolution.source else None
    found = []
    for point in kept.points(evolution):
        out, training = Path(point["folder"].replace(RUN, str(run.folder), 1)), None
        if not (out / "results.json").exists():
            continue
        # What a training began with owes it nothing.
        if (
            source is not None
            and point["training"] in source.by_name
            and point["checkpoint"] != kept.START
        ):
            training = (
                point["training"],
                source.job_folder(source.by_name[point["training"]]) / "out",
            )
        made = [one for one in evolution.of(point["training"]) if one.rank_by in one.metrics]
        found.append(
            Candidate(
                job=point["training"],
                axes=point["axes"],
                checkpoint=point["evaluated_as"],
                name=point["checkpoint"],
                step=point["step"],
                epoch=point["epoch"],
                out=out,
                training=training,
                is_best=point["checkpoint"] == kept.best(made)[0].checkpoint if made else None,
            )
        )
    return found


def pick(group: Sequence[Candidate], wanted: str, spec: str) -> Candidate:
    """The checkpoint ``last``, ``best``, of that name, or of that step. RunError lists the
    evaluated ones."""
    if wanted == "last":
        return max(group, key=lambda one: (one.step, one.name))
    if wanted == "best":
        fitting = [one for one in group if one.is_best]
        if not fitting and all(one.is_best is None for one in group):
            raise RunError(
                f"{spec}: its checkpoints carry no metric to rank by, or are gone; name a step"
            )
    else:
        fitting = [
            one
            for one in group
            if one.name == wanted or (wanted.isdigit() and one.step == int(wanted))
        ]
    if not fitting:
        there = ", ".join(
            f"{one.name} (step {one.step})" for one in sorted(group, key=lambda one: one.step)
        )
        raise RunError(f"{spec}: checkpoint '{wanted}' was not evaluated; there are: {there}")
    return fitting[0]


def config_of(sides: Sequence[Side], specialists: Sequence[Side], metric: str) -> dict[str, Any]:
    """The config of ``engines.analysis`` that answers the question."""
    inputs: dict[str, dict[str, Any]] = {}
    checkpoints: dict[str, str] = {}

    def source(one: Candidate, label: str) -> dict[str, Any]:
        job = f"{one.job}@{one.name} [{label}]"
        checkpoints[job] = one.checkpoint
        return {
            "job": job,
            "stage": "evaluate",
            "axes": {"arm": label, "seed": one.axes.get("seed", 0)},
            "folder": str(one.out),
        }

    for side in sides:
        for one in side.chosen:
            made = source(one, side.label)
            inputs[made["job"]] = made
            if one.training is not None:
                job = f"{one.training[0]} [{side.label}]"
                inputs[job] = {**made, "job": job, "stage": "train", "folder": str(one.training[1])}
    return {
        "inputs": list(inputs.values()),
        "compare": {"axis": "arm", "baseline": sides[0].label, "treatment": sides[1].label},
        "specialists": [source(one, side.label) for side in specialists for one in side.chosen],
        "metric": metric,
        "checkpoints": checkpoints,
    }


def compare(a: str, b: str, specialists: Sequence[str], metric: str, out: Path | None) -> Path:
    """Write the comparison and return its folder; done before, it is the same folder. RunError says
    why A and B cannot be compared."""
    sides = [resolve(a), resolve(b)]
    if {(one.out, one.checkpoint) for one in sides[0].chosen} == {
        (one.out, one.checkpoint) for one in sides[1].chosen
    }:
        raise RunError(f"{a} and {b} are the same evaluation; name two")
    config = config_of(sides, [resolve(spec) for spec in specialists], metric)
    marks = [
        [source["folder"], (Path(source["folder"]) / "results.json").stat().st_mtime_ns]
        for source in config["inputs"]
        if (Path(source["folder"]) / "results.json").exists()
    ]
    folder = out or runs_root() / "comparisons" / digest([config, marks])[:12]
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "config.json").exists() and (folder / "inputs.sha256").read_text() != digest(
        [config, marks]
    ):
        raise RunError(f"--out {folder}: holds another comparison; name another folder")
    (folder / "inputs.sha256").write_text(digest([config, marks]))
    write_json(folder / "config.json", config)
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            "engines.analysis",
            str(folder / "config.json"),
            "--out",
            str(folder),
        ],
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        remedy = (
            "; install the engines here, or run it where they are"
            if "ModuleNotFoundError" in lines[-1]
            else ""
        )
        raise RunError(
            lines[-1].removeprefix("engines.analysis: ").replace(f"{folder / 'config.json'}: ", "")
            + remedy
        )
    return folder


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
CONDITION = re.compile(
    r"\s*(?:(domain|task)=(\S+)\s+)?(\w+)\s*(<=|>=|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
)


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
            f"--fail-if {text!r}: must be [domain=NAME|task=NAME] WHAT < NUMBER, with <, "
            "<=, > or >=, and WHAT one of "
            f"{', '.join(COLUMNS)}; shares, not per cent: 'domain=math difference<-0.02'"
        )
    return Condition(
        text,
        COLUMNS[match[3]],
        match[4],
        float(match[5]),
        match[1] or "domain",
        match[2] or "macro mean",
    )


def holds(asked: Condition, folder: Path) -> str:
    """Why the gate fails by this condition, "" if it does not. A number that is missing fails:
    nothing shows that it is well.

    RunError for a domain or task that the comparison does not have.
    """
    with (folder / "table.csv").open() as file:
        lines = list(csv.DictReader(file))
    tasks = [line for line in lines if asked.axis == "task" and line["task"] == asked.where]
    # A domain of one task has one line, which is the task's too.
    found = tasks or [line for line in lines if not line["task"] and line["domain"] == asked.where]
    if not found:
        names = sorted({line[asked.axis] for line in lines if line[asked.axis]})
        raise RunError(
            f"--fail-if {asked.text!r}: no {asked.axis} '{asked.where}'; there are: "
            f"{', '.join(names)}"
        )
    value = found[0][asked.column]
    if value == "":
        return (
            f"{asked.text}: there is no such number: {found[0]['missing'] or 'it was not computed'}"
        )
    if OPERATORS[asked.compare](float(value), asked.bound):
        return f"{asked.text}: {asked.column} is {float(value):.4f}"
    return ""
