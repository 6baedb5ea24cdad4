"""`orch cancel`: end active jobs and those that wait."""

from __future__ import annotations

from orchestrator.cli.arguments import Jobs, RunName
from orchestrator.lifecycle import interventions
from orchestrator.runs.lookup import find_run


def cancel(run: RunName = None, job: Jobs = None) -> None:
    """End active jobs, and those that wait. What is done stays done; orch retry starts them
    again."""
    found = find_run(run)
    names = interventions.cancel(found, job)
    print("\n".join(f"cancelled {name}" for name in names) or f"{found.name}: nothing is active")
