"""`orch report`: print a run's report."""

from __future__ import annotations

from orchestrator.cli.arguments import AsJson, RunName
from orchestrator.cli.json_output import print_json
from orchestrator.lifecycle.refresh import refresh
from orchestrator.runs.lookup import find_run
from orchestrator.views.logs import reports


def report(run: RunName = None, as_json: AsJson = False) -> None:
    """Print the report of a run and where its HTML page lies."""
    found = find_run(run)
    told = reports(found, refresh(found)[0])
    if as_json:
        print_json("report", {"run": found.name, "reports": told})
        return
    for one in told:
        print(one["text"])
        print(f"HTML report with its figures: {one['html']}")
