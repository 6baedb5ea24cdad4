"""`orch retry`: submit failed jobs again."""

from __future__ import annotations

from orchestrator.cli.arguments import AsJson, Jobs, JobsOfRun
from orchestrator.cli.shared import print_changes
from orchestrator.lifecycle.retry import retry_from_here
from orchestrator.runs.lookup import find_target
from orchestrator.views.busy.line import busy, shown_and_told


def retry(run: JobsOfRun = None, job: Jobs = None, as_json: AsJson = False) -> None:
    """Submit failed jobs again, and what waited for them. Training continues from its newest
    checkpoint."""
    found, jobs = find_target(run, job)
    messages: list[str] = []
    with busy(f"retrying {found.name}", not as_json) as show:
        retry_from_here(found, jobs, shown_and_told(show, messages.append))
    print_changes(found, messages, "nothing to retry", as_json)
