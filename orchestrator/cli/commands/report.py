"""`orch report`: print a run's report."""

from __future__ import annotations

from orchestrator.cli.arguments import RunName
from orchestrator.runs.lookup import find_run
from orchestrator.views.logs import print_report


def report(run: RunName = None) -> None:
    """Print the report of a run and where its HTML page lies."""
    print_report(find_run(run))
