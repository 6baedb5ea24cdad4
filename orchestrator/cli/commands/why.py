"""`orch why`: explain where a job stands."""

from __future__ import annotations

import orchestrator.views.why
from orchestrator.api.json_documents import why_document
from orchestrator.cli.arguments import AsJson, JobOfRun, OfRun, OneJob
from orchestrator.cli.json_output import print_json
from orchestrator.lifecycle.refresh import refresh
from orchestrator.runs.lookup import find_job
from orchestrator.views.logs import record_of


def why(
    target: JobOfRun = None, job: OneJob = None, run: OfRun = None, as_json: AsJson = False
) -> None:
    """Explain where a job stands: which source decided its state, what it waits for, what its gate
    saw in which file, why it was skipped or died."""
    found, name = find_job(target, run, job)
    records, trouble = refresh(found)
    record = record_of(found, name, records)
    if as_json:
        print_json("why", why_document(found, record, records, trouble))
        return
    for line in orchestrator.views.why.why(found, record, records):
        print(line)
    if trouble:
        print(f"could not ask: {trouble}")
