"""`orch why`: explain where a job stands."""

from __future__ import annotations

from pathlib import Path

import orchestrator.views.why
from orchestrator.api.json_documents import why_document
from orchestrator.cli.arguments import AsJson, JobOfRun, OfRun, OneJob
from orchestrator.cli.json_output import print_json
from orchestrator.lifecycle.refresh import refresh
from orchestrator.runs.lookup import find_job
from orchestrator.runs.record import Record
from orchestrator.views.logs import record_of


def why(
    target: JobOfRun = None, job: OneJob = None, run: OfRun = None, as_json: AsJson = False
) -> None:
    """Explain why a job waits, was skipped or died. It names the source that decided the job's
    state, what the job waits for, and what its gate saw in which file."""
    found, name = find_job(target, run, job)
    records, trouble = refresh(found)
    record = record_of(found, name, records)
    if as_json:
        print_json("why", why_document(found, record, records, trouble))
        return
    print_why(record, orchestrator.views.why.why(found, record, records))
    if trouble:
        print(f"could not ask: {trouble}")


def print_why(record: Record, lines: list[str]) -> None:
    """The lines, on a terminal with what each is about beside it."""
    from rich.console import Console

    from orchestrator.views.overview.signs import SIGNS
    from orchestrator.views.tables.drawing import screen_of, show
    from orchestrator.views.tables.told import explained

    console = Console()
    sign = SIGNS[record.state]
    here = str(Path.cwd())
    show(console, explained(lines, screen_of(console), sign.sign, sign.colour, here))
