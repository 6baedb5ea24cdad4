"""`orch cancel`: end active jobs and those that wait."""

from __future__ import annotations

from orchestrator.cli.arguments import AsJson, Jobs, JobsOfRun
from orchestrator.cli.shared import print_changes
from orchestrator.lifecycle import interventions
from orchestrator.runs.lookup import find_target


def cancel(run: JobsOfRun = None, job: Jobs = None, as_json: AsJson = False) -> None:
    """End active jobs, and those that wait. What is done stays done; orch retry starts them
    again."""
    found, jobs = find_target(run, job)
    lines = interventions.cancel(found, jobs)
    print_changes(found, lines, "nothing is active", as_json)
