"""`orch why`: explain where a job stands."""

from __future__ import annotations

import orchestrator.views.why
from orchestrator.cli.arguments import JobOfRun, OfRun, OneJob
from orchestrator.lifecycle.refresh import refresh
from orchestrator.runs.lookup import find_job
from orchestrator.views.logs import record_of


def why(target: JobOfRun = None, job: OneJob = None, run: OfRun = None) -> None:
    """Explain where a job stands: which source decided its state, what it waits for, what its gate
    saw in which file, why it was skipped or died."""
    found, name = find_job(target, run, job)
    records, trouble = refresh(found)
    for line in orchestrator.views.why.why(found, record_of(found, name, records), records):
        print(line)
    if trouble:
        print(f"could not ask: {trouble}")
