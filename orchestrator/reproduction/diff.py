"""`orch diff`: what two runs do not share: jobs, configs, resources, cluster, code, environment,
results."""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from orchestrator.node.system import read_json
from orchestrator.planning.plan import RUN, moved
from orchestrator.runs.provenance.code_copies import CODE, changed_files
from orchestrator.runs.provenance.launches import kept, launches
from orchestrator.runs.run import Run
from orchestrator.scores.results import gather

SHOWN_ROWS = 40
"""So many differing results are shown; --json has all."""
NONE = "-"


@dataclass(frozen=True)
class Difference:
    """One thing that differs."""

    what: str
    """jobs, config, resources, gates, cluster, code, environment or results."""
    where: str
    """A stage or jobs, a file, or whose environment."""
    key: str
    a: Any
    b: Any


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys."""
    if isinstance(value, Mapping) and value:
        return {
            name: leaf
            for key, below in value.items()
            for name, leaf in flat(below, f"{prefix}.{key}" if prefix else str(key)).items()
        }
    return {prefix: value}


def unequal(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Keys whose values differ, with both; None where there is none."""
    for key in [*a, *(key for key in b if key not in a)]:
        if a.get(key) != b.get(key) or (key in a) != (key in b):
            yield key, a.get(key), b.get(key)


def of_jobs(a: Run, b: Run) -> Iterator[Difference]:
    """Jobs that only one has, and what differs in those that both have; what all jobs of a stage
    share is told once."""
    for stage in dict.fromkeys(job.stage for run in (a, b) for job in run.plan.jobs):
        names = [{job.name for job in run.plan.jobs if job.stage == stage} for run in (a, b)]
        for index, own in enumerate((names[0] - names[1], names[1] - names[0])):
            for name in sorted(own):
                yield Difference(
                    "jobs",
                    stage,
                    name,
                    *(("only here", None) if index == 0 else (None, "only here")),
                )
        both = sorted(names[0] & names[1])
        for what in ("config", "resources"):
            found: dict[str, list[str]] = {}
            values: dict[str, tuple[str, Any, Any]] = {}
            for name in both:
                for one in unequal(part(a, name, what), part(b, name, what)):
                    found.setdefault(json.dumps(one, default=str), []).append(name)
                    values[json.dumps(one, default=str)] = one
            for same, jobs in found.items():
                more = f" and {len(jobs) - 2} more" if len(jobs) > 2 else ""
                yield Difference(
                    what,
                    stage if len(jobs) == len(both) else ", ".join(jobs[:2]) + more,
                    *values[same],
                )


def part(run: Run, name: str, what: str) -> dict[str, Any]:
    """A job's config (or command) or resources, as dotted keys; its run's folder does not count."""
    job = run.by_name[name]
    if what == "resources":
        return asdict(job.resources)
    if job.command is not None:
        return {"command": shlex.join(job.command)}
    return flat(moved(job.config, str(run.folder), RUN))


def of_settings(a: Run, b: Run) -> Iterator[Difference]:
    """Gates, and the cluster's profile."""
    gates = [
        {
            stage: "; ".join(json.dumps(one.to_dict()) for one in conditions)
            for stage, conditions in run.plan.gates.items()
        }
        for run in (a, b)
    ]
    for stage, one, other in unequal(*gates):
        yield Difference("gates", stage, "when", one, other)
    for key, one, other in unequal(flat(asdict(a.profile)), flat(asdict(b.profile))):
        yield Difference(
            "cluster",
            a.profile.name
            if a.profile.name == b.profile.name
            else f"{a.profile.name}, {b.profile.name}",
            key,
            one,
            other,
        )


def of_code(a: Run, b: Run) -> Iterator[Difference]:
    """Commit, uncommitted changes, and files of the kept code with the lines that they differ
    by."""
    noted = [launches(run.folder) for run in (a, b)]
    if not all(noted):
        return
    last = [launched[-1] for launched in noted]
    git = [one["git"] or {} for one in last]
    for key in ("commit", "branch", "remote"):
        if git[0].get(key) != git[1].get(key):
            yield Difference("code", "git", key, git[0].get(key), git[1].get(key))
    if kept(last[0], "changes.patch") != kept(last[1], "changes.patch"):
        yield Difference(
            "code",
            "git",
            "uncommitted changes",
            *("; ".join(one.get("changed", [])) or None for one in git),
        )
    roots = [run.folder.parent.parent for run in (a, b)]
    if last[0]["code"] != last[1]["code"] and roots[0] == roots[1]:
        for file in changed_files(roots[0], last[0]["code"], last[1]["code"]):
            gone, come = lines_between(
                *(root / CODE / one["code"] / file for root, one in zip(roots, last, strict=True))
            )
            yield Difference("code", file, "lines", f"-{gone}", f"+{come}")
    elif last[0]["code"] != last[1]["code"]:
        yield Difference("code", "engines", "code", last[0]["code"], last[1]["code"])
    if last[0]["work"] != last[1]["work"]:
        yield Difference("code", "work", "snapshot", last[0]["work"], last[1]["work"])


def lines_between(before: Path, after: Path) -> tuple[int, int]:
    """How many lines are gone and how many have come."""
    old, new = (
        path.read_bytes().decode(errors="replace").splitlines() if path.exists() else []
        for path in (before, after)
    )
    found = [
        line[0] for line in list(difflib.unified_diff(old, new, n=0))[2:]
    ]  # after the names of the files
    return found.count("-"), found.count("+")


def of_environment(a: Run, b: Run) -> Iterator[Difference]:
    """Python, driver, modules and packages: of orch, and of the first job of each stage that noted
    them."""
    own = [
        flat((launches(run.folder) or [{"environment": {}}])[-1]["environment"]) for run in (a, b)
    ]
    places: dict[str, list[dict[str, Any]]] = {"orch": own}
    for stage in dict.fromkeys(job.stage for job in a.plan.jobs):
        noted = [
            next(
                (
                    flat(read_json(path))
                    for job in run.plan.jobs
                    if job.stage == stage
                    and (path := run.out_folder(job) / "environment.json").exists()
                ),
                None,
            )
            for run in (a, b)
        ]
        if noted[0] is not None and noted[1] is not None:
            places[f"jobs of {stage}"] = [one for one in noted if one is not None]
    told: set[str] = set()
    for place, (one, other) in places.items():
        for difference in unequal(one, other):
            if json.dumps(difference) not in told and difference[0] != "":
                told.add(json.dumps(difference))
                yield Difference("environment", place, *difference)


def of_results(a: Run, b: Run) -> Iterator[Difference]:
    """Rows whose values differ, by job, metric and axes."""
    found = []
    for run in (a, b):
        lines, _ = gather(run, None, None)
        found.append(
            {
                (
                    line.job,
                    line.row.metric,
                    json.dumps(line.row.axes, sort_keys=True),
                ): line.row.value if line.row.value is not None else line.row.error
                for line in lines
            }
        )
    for key in [*found[0], *(key for key in found[1] if key not in found[0])]:
        if found[0].get(key) != found[1].get(key):
            job, metric, axes = key
            rest = ", ".join(
                f"{name}={value}"
                for name, value in json.loads(axes).items()
                if f"{name}={value}" not in job
            )
            yield Difference(
                "results", job, f"{metric} {rest}".strip(), found[0].get(key), found[1].get(key)
            )


def differences(a: Run, b: Run) -> list[Difference]:
    """Everything that differs."""
    return [
        *of_jobs(a, b),
        *of_settings(a, b),
        *of_code(a, b),
        *of_environment(a, b),
        *of_results(a, b),
    ]


def cell(value: Any) -> str:
    """A value for a table."""
    if value is None:
        return NONE
    text = (
        f"{value:.6g}"
        if isinstance(value, float)
        else value
        if isinstance(value, str)
        else json.dumps(value)
    )
    return text if len(text) <= 80 else f"{text[:77]}..."


def render(a: Run, b: Run, found: list[Difference]) -> Group:
    """A table for people."""
    heading = Text.assemble(
        (a.name, "bold"),
        " (A) against ",
        (b.name, "bold"),
        " (B)",
        "" if found else ": nothing differs",
    )
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("what", "where", "key", "A", "B"):
        table.add_column(name, overflow="fold", no_wrap=name == "what")
    results = [one for one in found if one.what == "results"]
    before = ""
    for one in [*(one for one in found if one.what != "results"), *results[:SHOWN_ROWS]]:
        table.add_row(
            Text("" if one.what == before else one.what, style="bold"),
            *(Text(cell(value)) for value in (one.where, one.key)),
            Text(cell(one.a), style="red"),
            Text(cell(one.b), style="green"),
        )
        before = one.what
    more = len(results) - SHOWN_ROWS
    return Group(
        heading,
        *([table] if found else []),
        *([Text(f"{more} more results differ: --json", style="dim")] if more > 0 else []),
    )
