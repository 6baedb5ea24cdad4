"""Find what differs between two runs, for `orch diff`: jobs, configs, resources, gates, cluster,
code, environment, results.

In: two runs, whose folders are read. Out: a `Difference` each, and a table of them for people. The
function of each kind of difference yields them; ``differences`` puts them together.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from orchestrator.planning.plan import RUN, moved
from orchestrator.reproduction.code import Both, newest_launch, of_code
from orchestrator.reproduction.differences import Difference, cut_short, unequal
from orchestrator.runs.documents.reading import mapping
from orchestrator.runs.run import Run
from orchestrator.scores.results import gather
from orchestrator.views.tables.columns import Column, Kind
from orchestrator.views.tables.drawing import Screen, drawn_lines

SHOWN_ROWS = 40
"""So many differing results are shown; --json has all."""
NONE = "-"
CELL_LETTERS = 80
"""Longer values are cut in the table."""


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys."""
    # An empty mapping is a value: it differs from a key that is not there.
    if not isinstance(value, Mapping) or not value:
        return {prefix: value}
    leaves: dict[str, Any] = {}
    for key, below in value.items():
        leaves |= flat(below, f"{prefix}.{key}" if prefix else str(key))
    return leaves


def of_jobs(a: Run, b: Run) -> Iterator[Difference]:
    """Jobs that only one has, and what differs in those that both have."""
    for stage in dict.fromkeys(job.stage for run in (a, b) for job in run.plan.jobs):
        names_a = {job.name for job in a.plan.jobs if job.stage == stage}
        names_b = {job.name for job in b.plan.jobs if job.stage == stage}
        for name in sorted(names_a - names_b):
            yield Difference("jobs", stage, name, "only here", None)
        for name in sorted(names_b - names_a):
            yield Difference("jobs", stage, name, None, "only here")
        for what in ("config", "resources"):
            yield from of_shared_jobs(a, b, stage, sorted(names_a & names_b), what)


def of_shared_jobs(a: Run, b: Run, stage: str, names: list[str], what: str) -> Iterator[Difference]:
    """What differs in jobs that both have, each difference once for all jobs that show it.

    It is said of the stage where all of its jobs show it.
    """
    jobs_with: dict[str, list[str]] = {}
    values: dict[str, tuple[str, Any, Any]] = {}
    for name in names:
        for difference in differing(a, b, name, what):
            # Values such as lists cannot be keys of a mapping; their text can.
            text = json.dumps(difference, default=str)
            jobs_with.setdefault(text, []).append(name)
            values[text] = difference
    for text, jobs in jobs_with.items():
        where = stage if len(jobs) == len(names) else cut_short(jobs)
        yield Difference(what, where, *values[text])


def differing(a: Run, b: Run, name: str, what: str) -> list[tuple[str, Any, Any]]:
    """What differs in one job that both have."""
    found = list(unequal(part(a, name, what), part(b, name, what)))
    if found or what == "resources":
        return found
    # The same options in another order.
    whole_a, whole_b = (list(run.by_name[name].command or ()) for run in (a, b))
    return [("command", shlex.join(whole_a), shlex.join(whole_b))] if whole_a != whole_b else []


def part(run: Run, name: str, what: str) -> dict[str, Any]:
    """A job's config (or command) or resources, as dotted keys; its run's folder does not count."""
    job = run.by_name[name]
    if what == "resources":
        return asdict(job.resources)
    if job.command is not None:
        return options_of(job.command)
    return flat(moved(job.config, str(run.folder), RUN))


def options_of(command: Sequence[str]) -> dict[str, str]:
    """A command as its options with what follows each of them, and what stands before the first: of
    two long ones people see what differs, and of many jobs it is one line."""
    words: dict[str, list[str]] = {"command": []}
    key = "command"
    for word in command:
        option, sign, value = word.partition("=")
        if re.fullmatch(r"--?[A-Za-z][\w.-]*", option):
            key = f"command {option}"
            words.setdefault(key, []).extend([value] if sign else [])
        else:
            words[key].append(word)
    return {key: shlex.join(given) or "given" for key, given in words.items()}


def of_settings(a: Run, b: Run) -> Iterator[Difference]:
    """Gates, and the cluster's profile."""
    for stage, value_a, value_b in unequal(gates_of(a), gates_of(b)):
        yield Difference("gates", stage, "when", value_a, value_b)
    names = dict.fromkeys((a.profile.name, b.profile.name))
    for key, value_a, value_b in unequal(flat(asdict(a.profile)), flat(asdict(b.profile))):
        yield Difference("cluster", ", ".join(names), key, value_a, value_b)


def gates_of(run: Run) -> dict[str, str]:
    """The conditions of each gated stage as one text."""
    texts = {}
    for stage, conditions in run.plan.gates.items():
        texts[stage] = "; ".join(json.dumps(condition.to_dict()) for condition in conditions)
    return texts


def of_environment(a: Run, b: Run) -> Iterator[Difference]:
    """Python, driver, modules and packages: of orch, and of the first job of each stage that noted
    them."""
    places = {"orch": (orch_environment(a), orch_environment(b))}
    for stage in dict.fromkeys(job.stage for job in a.plan.jobs):
        noted_a, noted_b = stage_environment(a, stage), stage_environment(b, stage)
        if noted_a is not None and noted_b is not None:
            places[f"jobs of {stage}"] = (noted_a, noted_b)
    # Jobs mostly run in the environment of orch, and what differs there is listed once.
    listed = set()
    for place, (noted_a, noted_b) in places.items():
        for difference in unequal(noted_a, noted_b):
            text = json.dumps(difference)
            # ``flat`` makes one empty key of an environment that nobody noted.
            if text not in listed and difference[0] != "":
                listed.add(text)
                yield Difference("environment", place, *difference)


def orch_environment(run: Run) -> dict[str, Any]:
    """What the newest launch noted of the Python that orch ran in."""
    noted = newest_launch(run)
    return flat({} if noted is None else noted["environment"])


def stage_environment(run: Run, stage: str) -> dict[str, Any] | None:
    """What the first job of a stage that noted its environment says; None if none has."""
    for job in run.plan.jobs:
        path = run.out_folder(job) / "environment.json"
        noted = mapping(path, "left out") if job.stage == stage else None
        if noted is not None:
            return flat(noted)
    return None


def of_results(a: Run, b: Run) -> Iterator[Difference]:
    """Rows whose values differ, by job, metric and axes."""
    results_a, results_b = results_of(a), results_of(b)
    for key in {**results_a, **results_b}:
        value_a, value_b = results_a.get(key), results_b.get(key)
        if value_a != value_b:
            job, metric, axes = key
            # Axes that the job's name holds are not repeated.
            words = [f"{axis}={value}" for axis, value in json.loads(axes).items()]
            rest = ", ".join(word for word in words if word not in job)
            yield Difference("results", job, f"{metric} {rest}".strip(), value_a, value_b)


def results_of(run: Run) -> dict[tuple[str, str, str], Any]:
    """Value, or why there is none, by job, metric and axes as JSON."""
    lines, _, _ = gather(run, None, None)
    values: dict[tuple[str, str, str], Any] = {}
    for line in lines:
        row = line.row
        key = (line.job, row.metric, json.dumps(line.axes, sort_keys=True))
        values[key] = row.error if row.value is None else row.value
    return values


def differences(a: Run, b: Run) -> list[Difference]:
    """Everything that differs."""
    return [
        *of_jobs(a, b),
        *of_settings(a, b),
        *of_code(Both(a, b)),
        *of_environment(a, b),
        *of_results(a, b),
    ]


def cell(value: Any) -> str:
    """A value for a table."""
    if value is None:
        return NONE
    if isinstance(value, float):
        text = f"{value:.6g}"
    elif isinstance(value, str):
        text = value
    else:
        text = json.dumps(value)
    return text if len(text) <= CELL_LETTERS else f"{text[: CELL_LETTERS - 3]}..."


def render(a: Run, b: Run, found: list[Difference], screen: Screen) -> list[Text]:
    """A table for people."""
    heading = Text.assemble((a.name, "bold"), " (A) against ", (b.name, "bold"), " (B)")
    if not found:
        return [heading.append(": nothing differs")]
    results = [difference for difference in found if difference.what == "results"]
    others = [difference for difference in found if difference.what != "results"]
    # Results come last and are cut, because there may be thousands.
    shown = [*others, *results[:SHOWN_ROWS]]
    keys = tuple(cell(one.key) for one in shown)
    columns = [
        Column(name="what", kind=Kind.KEY, cells=tuple(one.what for one in shown)),
        Column(name="where", kind=Kind.KEY, cells=tuple(cell(one.where) for one in shown)),
        Column(name="key", kind=Kind.PROSE, cells=keys, priority=1),
        side("A", [one.a for one in shown], "red"),
        side("B", [one.b for one in shown], "green"),
    ]
    lines = [heading, *drawn_lines(columns, screen)]
    more = len(results) - SHOWN_ROWS
    if more > 0:
        lines.append(Text(f"{more} more results differ: --json", style="dim"))
    return lines


def side(name: str, values: Sequence[Any], colour: str) -> Column:
    """The values of one run; never cut, since the end of two long ones may be what differs."""
    cells = tuple(map(cell, values))
    return Column(
        name=name, kind=Kind.PROSE, cells=cells, styles=(colour,) * len(cells), priority=1, floor=12
    )
