"""What a run has found, and what it ran with: the headlines of its reports, the settings of its
stages.

In: a run and its records. Out: plain values. Reads files of the run. Called by facts.py.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jobs.spec import Job
from orchestrator.runs.documents.results import headline_in
from orchestrator.runs.provenance.redaction import redacted
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run

REPORT = "report.html"
MOST_OF_A_STAGE = 3
"""Jobs of a stage that may be reports: who trains thousands of models writes no report in each."""


@dataclass(frozen=True)
class Found:
    """One report."""

    job: str
    headline: str
    """Its first sentence; empty: it says none."""
    link: str
    """Where it lies, from the run's folder."""


def reports(run: Run, records: Sequence[Record]) -> list[Found]:
    """The reports of jobs that are done."""
    stages: dict[str, list[Record]] = {}
    for record in records:
        stages.setdefault(record.stage, []).append(record)
    found = []
    for members in stages.values():
        if len(members) > MOST_OF_A_STAGE:
            continue
        for record in members:
            path = run.out_folder(record) / REPORT
            if record.state is JobState.COMPLETED and path.is_file():
                told = headline_in(run.results_file(record), record.name)
                found.append(Found(record.name, redacted(told), link(run, path)))
    return found


def link(run: Run, path: Path) -> str:
    """A path from the run's folder, as a page names it."""
    return quote(os.path.relpath(path, run.folder))


def settings(run: Run) -> dict[str, str]:
    """What the jobs of each stage ran with, of the first job with its name."""
    found: dict[str, str] = {}
    for job in run.plan.jobs:
        if job.stage not in found:
            found[job.stage] = redacted(f"{job.name}\n{text_of(job)}")
    return found


def text_of(job: Job) -> str:
    """A command as it is typed, or an engine's config."""
    if job.command is not None:
        return shlex.join(job.command)
    shown: dict[str, Any] = {name: value for name, value in job.config.items() if name != "inputs"}
    return f"engine {job.engine}\n{json.dumps(shown, indent=1, ensure_ascii=False)}"
