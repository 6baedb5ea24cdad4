"""``ran.html`` beside the page of a run: what exactly each job ran. Command lines, seeds, versions,
commit and uncommitted changes, every file that counted with its hash, the environment.

In: a run. Out: one HTML file without a script, readable without a network. Called by `orch page`;
the page of the run links it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from engines.shared.reporting.style import STYLE
from engines.shared.reporting.tables import html_table
from orchestrator.description.profile import is_secret
from orchestrator.node.system import write_text
from orchestrator.runs.provenance.launches import kept
from orchestrator.runs.provenance.ran import Ran
from orchestrator.runs.run import Run
from orchestrator.views.moments import stamp
from orchestrator.views.ran.facts import RanFacts, environment_of, ran_facts

NAME = "ran.html"
MOST_JOBS, MOST_FILES = 1000, 2000
"""Rows that a table shows."""
OWN_STYLE = (
    "td,th{text-align:left;white-space:normal;overflow-wrap:anywhere;vertical-align:top}"
    "td.hash,code{font-family:ui-monospace,monospace;font-size:.85em}"
    "dt{font-weight:600}dd{margin:0 0 .4rem;overflow-wrap:anywhere}"
)
INTRODUCTION = (
    "Of each job the attempt that counts: what was noted when it was submitted, not what lies in "
    "the folder now. A job that was taken from another run shows what ran there."
)


def write_ran_page(run: Run) -> Path:
    """Write the page into the run's folder, whole, and return where it lies."""
    path = run.folder / NAME
    write_text(path, ran_page(run, ran_facts(run)))
    return path


def link() -> str:
    """How the page of the run refers to it."""
    return f'<p><a href="{NAME}">What exactly ran</a>: commands, code, files, environment.</p>'


def ran_page(run: Run, facts: Sequence[RanFacts]) -> str:
    """The whole document."""
    title = f"{escape(run.name)}: what exactly ran"
    sections = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{title}</title><style>{STYLE}{OWN_STYLE}</style>'
        f"<main><h1>{title}</h1>",
        f'<p class="read">{INTRODUCTION}</p>',
        description(run),
        jobs_section(facts),
        *(launch_section(launch, jobs) for launch, jobs in by_launch(facts)),
        *(files_section(jobs) for jobs in by_files(facts)),
        environment_section(run, facts),
        f"<footer>{escape(str(run.folder))}, plan {run.plan.identity[:12]}</footer></main></html>",
    ]
    return "\n".join(section for section in sections if section) + "\n"


def description(run: Run) -> str:
    """Of which description the run is, with which overrides."""
    plan = run.plan
    values = {
        "experiment file": str(plan.source),
        "preset": plan.preset or "none",
        "overrides": " ".join(f"--set {one}" for one in plan.overrides) or "none",
        "launched in": run.cwd,
        "copy of the folder": "yes (snapshot: true)" if plan.snapshot else "no",
    }
    return listed(values)


def listed(values: dict[str, str]) -> str:
    """Names and values."""
    entries = [f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in values.items()]
    return f"<dl>{''.join(entries)}</dl>"


def jobs_section(facts: Sequence[RanFacts]) -> str:
    """A row for each job."""
    if not facts:
        return "<p>No job has run yet.</p>"
    body = []
    for one in facts[:MOST_JOBS]:
        ran = one.ran
        launch = number_of(ran) if ran.launch is not None else "unknown"
        body.append(
            [one.job.name, one.command, one.seeds, str(ran.attempt or "taken"), launch, ran.host]
        )
    more = len(facts) - MOST_JOBS
    note = f"<p>and {more} more jobs: orch why JOB shows each</p>" if more > 0 else ""
    head = ["job", "command", "seeds", "attempt", "launch", "node"]
    return f"<h2>Jobs</h2>{html_table(head, body)}{note}"


def number_of(ran: Ran) -> str:
    """Which launch submitted an attempt: its number, and of another run its name."""
    assert ran.launch is not None
    folder = Path(ran.launch["folder"])
    return folder.name


def by_launch(facts: Sequence[RanFacts]) -> list[tuple[dict[str, Any], list[RanFacts]]]:
    """The jobs of each launch, the earliest first."""
    found: dict[str, tuple[dict[str, Any], list[RanFacts]]] = {}
    for one in facts:
        launch = one.ran.launch
        if launch is not None:
            found.setdefault(launch["folder"], (launch, []))[1].append(one)
    return sorted(found.values(), key=lambda entry: float(entry[0]["time"]))


def launch_section(launch: dict[str, Any], jobs: Sequence[RanFacts]) -> str:
    """One launch: who, when, which code, and what was not committed."""
    folder = Path(launch["folder"])
    git = launch["git"] or {}
    values = {
        "by": f"orch {launch['action']}, {launch.get('user', '')} on {launch.get('host', '')}",
        "when": stamp(launch["time"]),
        "jobs": named([one.job.name for one in jobs]),
        "code of orch and the engines": f"{launch['code']} (runs/.code/{launch['code']})",
        "commit": f"{git.get('commit') or 'none'} ({git.get('branch')})" if git else "no git here",
        "remote": git.get("remote") or "none",
        "not committed": "; ".join(git.get("changed", [])) or "nothing",
        "not tracked": "; ".join(git.get("untracked", [])) or "nothing",
    }
    if launch["work"]:
        values["copy of the folder"] = f"work/{launch['work']}"
    patch = kept(launch, "changes.patch")
    changes = f"<details><summary>The changes</summary><pre>{escape(patch)}</pre></details>"
    return f"<h2>Launch {folder.name}</h2>{listed(values)}{changes if patch else ''}"


def named(names: Sequence[str], most: int = 5) -> str:
    """The first ones, and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def by_files(facts: Sequence[RanFacts]) -> list[list[RanFacts]]:
    """The jobs that share a list of files."""
    found: dict[str, list[RanFacts]] = {}
    for one in facts:
        key = json.dumps([one.ran.unknown, sorted(one.ran.files.items())])
        if one.ran.files or one.ran.unknown:
            found.setdefault(key, []).append(one)
    return list(found.values())


def files_section(jobs: Sequence[RanFacts]) -> str:
    """The files that counted for some jobs, those that they name first."""
    ran = jobs[0].ran
    title = f"<h2>Files of {escape(named([one.job.name for one in jobs]))}</h2>"
    if ran.unknown:
        return f"{title}<p>unknown: {escape(ran.unknown)}</p>"
    files = {**ran.named, **ran.program}
    body = [[name, hash_of(content)] for name, content in list(files.items())[:MOST_FILES]]
    more = len(files) - MOST_FILES
    note = f"<p>and {more} more files</p>" if more > 0 else ""
    table = html_table(["file", "sha256; x: may be executed"], body)
    if len(files) <= 20:
        return f"{title}{table}{note}"
    return f"{title}<details><summary>{len(files)} files</summary>{table}{note}</details>"


def hash_of(content: str) -> str:
    """What stands for the content of a file, as it was noted."""
    return f"x {content[1:]}" if content.startswith("x") else content[1:]


def environment_section(run: Run, facts: Sequence[RanFacts]) -> str:
    """Python, machine and packages of the first job of each stage, and what the profile sets."""
    stages: dict[str, RanFacts] = {}
    for one in facts:
        stages.setdefault(one.job.stage, one)
    parts = ["<h2>Environment</h2>", listed(surroundings(run))]
    shown: dict[str, list[str]] = {}
    for stage, one in stages.items():
        shown.setdefault(json.dumps(environment_of(one.ran)), []).append(stage)
    for text, names in shown.items():
        noted = json.loads(text)
        if not noted:
            continue
        # A damaged file may hold anything there; what is no mapping is shown as what it is.
        packages = noted.pop("packages") if isinstance(noted.get("packages"), dict) else {}
        values = {key: as_text(value) for key, value in noted.items()}
        rows = [[name, as_text(version)] for name, version in packages.items()]
        parts.append(
            f"<h3>{escape(', '.join(names))}</h3>{listed(values)}<details><summary>{len(rows)} "
            f"packages</summary>{html_table(['package', 'version'], rows)}</details>"
            if rows
            else f"<h3>{escape(', '.join(names))}</h3>{listed(values)}"
        )
    return "\n".join(parts)


def surroundings(run: Run) -> dict[str, str]:
    """What the cluster's profile gives each job."""
    profile = run.profile
    variables = [
        f"{name}={'<secret>' if is_secret(name) else value}"
        for name, value in profile.environment.items()
    ]
    return {
        "cluster": profile.name or profile.kind,
        "variables": "; ".join(variables) or "none of the profile",
        "set-up lines": "; ".join(profile.setup) or "none",
        "container": " ".join(profile.wrap) or "none",
    }


def as_text(value: Any) -> str:
    """A value of the environment for people."""
    return value if isinstance(value, str) else json.dumps(value)
