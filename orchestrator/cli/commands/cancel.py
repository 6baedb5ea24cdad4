"""`orch cancel`: end active jobs and those that wait."""

from __future__ import annotations

from orchestrator.cli.arguments import Jobs, RunName


def cancel(run: RunName = None, job: Jobs = None) -> None:
    """End active jobs, and those that wait. What is done stays done; orch retry starts them
    again."""
    from orchestrator.lifecycle.interventions import cancel as end
    from orchestrator.runs.lookup import find_run

    found = find_run(run)
    names = end(found, job)
    print("\n".join(f"cancelled {name}" for name in names) or f"{found.name}: nothing is active")
