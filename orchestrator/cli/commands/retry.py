"""`orch retry`: submit failed jobs again."""

from __future__ import annotations

from pathlib import Path

import orchestrator.lifecycle.retry
from orchestrator.cli.arguments import AsJson, Jobs, JobsOfRun
from orchestrator.cli.shared import print_changes
from orchestrator.runs.lookup import find_target
from orchestrator.runs.provenance.launches import note


def retry(run: JobsOfRun = None, job: Jobs = None, as_json: AsJson = False) -> None:
    """Submit failed jobs again, and what waited for them. Training continues from its newest
    checkpoint."""
    found, jobs = find_target(run, job)
    messages: list[str] = []
    # A retry runs the present code: this is how a mended error is tried.
    with found.lock():
        note(found.folder, found.plan, Path(found.cwd), "retry", messages.append)
    orchestrator.lifecycle.retry.retry(found, jobs, messages.append)
    print_changes(found, messages, "nothing to retry", as_json)
