"""`orch why`: explain where a job stands."""

from __future__ import annotations

import orchestrator.views.why
from orchestrator.cli.arguments import JobName, OfRun
from orchestrator.lifecycle.refresh import refresh
from orchestrator.runs.lookup import find_run
from orchestrator.views.logs import one_job


def why(job: JobName, run: OfRun = None) -> None:
    """Explain where a job stands: which source decided its state, what it waits for, what its gate
    saw in which file, why it was skipped or died."""
    found = find_run(run)
    records, trouble = refresh(found)
    for line in orchestrator.views.why.why(found, one_job(found, job, records), records):
        print(line)
    if trouble:
        print(f"could not ask: {trouble}")
