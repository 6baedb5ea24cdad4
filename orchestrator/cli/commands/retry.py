"""`orch retry`: submit failed jobs again."""

from __future__ import annotations

from pathlib import Path

from orchestrator.cli.arguments import Jobs, RunName


def retry(run: RunName = None, job: Jobs = None) -> None:
    """Submit failed jobs again, and what waited for them. Training continues from its newest
    checkpoint."""
    from orchestrator.lifecycle.retry import retry as again
    from orchestrator.runs.lookup import find_run
    from orchestrator.runs.provenance.launches import note

    found = find_run(run)
    told: list[str] = []
    with found.lock():
        note(found.folder, found.plan, Path(found.cwd), "retry", told.append)
    again(found, job, told.append)
    print("\n".join(told) or f"{found.name}: nothing to retry")
