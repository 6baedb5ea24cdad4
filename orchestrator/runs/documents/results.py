"""``results.json`` of a job, read by whoever shows, judges or compares results.

In: the file. Out: its rows as gates judge them, or what a command has left that is no row; damaged
files are told with how the job is run again. Called by gates and views; ``set_aside`` by `orch
retry`. Light: whole rows are read by orchestrator/scores.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from jobs.spec import Job
from orchestrator.runs.documents.reading import content_of, decoded, document
from orchestrator.runs.layout import RESULTS
from orchestrator.runs.run import Run

DAMAGED = f"{RESULTS}.damaged"


class JudgedRow(TypedDict):
    """What gates and rankings look at in a row."""

    metric: str
    value: float | None
    axes: NotRequired[dict[str, str | int | float | bool]]
    n: NotRequired[int]
    error: NotRequired[str | None]


class Document(TypedDict):
    """What every ``results.json`` has."""

    rows: list[JudgedRow]
    facts: NotRequired[dict[str, Any]]


def remedy(job: str) -> str:
    """What to do about damaged results."""
    return f"left out; orch retry --job {job} sets it aside and runs the job again"


def judged_rows(path: Path) -> list[JudgedRow]:
    """The rows as gates judge them. ValueError if the file is damaged."""
    return decoded(content_of(path), Document)["rows"]


def problems_in(path: Path, job: str) -> list[str]:
    """What a command has left that is not in the documented form, as its results say."""
    found = document(path, Document, remedy(job))
    problems = None if found is None else found.get("facts", {}).get("problems")
    return [str(problem) for problem in problems] if isinstance(problems, list) else []


def headline_in(path: Path, job: str) -> str:
    """The sentence that a report says first; empty where it says none."""
    found = document(path, Document, remedy(job))
    told = None if found is None else found.get("facts", {}).get("headline")
    return told if isinstance(told, str) else ""


def set_aside(run: Run, jobs: Iterable[Job]) -> list[str]:
    """Rename damaged results, so that the jobs count as not done; a line for each."""
    lines = []
    for job in jobs:
        path = run.results(job)
        try:
            judged_rows(path)
        except FileNotFoundError:
            continue
        except ValueError as error:
            path.replace(path.with_name(DAMAGED))
            lines.append(f"{job.name}: its {RESULTS} {error}; kept as {DAMAGED}")
    return lines
