"""`orch cancel`: end active jobs and those that wait."""

from __future__ import annotations

from orchestrator.cli.arguments import Jobs, JobsOfRun
from orchestrator.lifecycle import interventions
from orchestrator.runs.lookup import find_target


def cancel(run: JobsOfRun = None, job: Jobs = None) -> None:
    """End active jobs, and those that wait. What is done stays done; orch retry starts them
    again."""
    found, jobs = find_target(run, job)
    names = interventions.cancel(found, jobs)
    print("\n".join(f"cancelled {name}" for name in names) or f"{found.name}: nothing is active")
