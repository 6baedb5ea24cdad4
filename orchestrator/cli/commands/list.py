"""`orch list`: the runs in the runs folder."""

from __future__ import annotations

from rich.console import Console

from orchestrator.runs.lookup import runs_root
from orchestrator.views.logs import runs_table


def list() -> None:
    """List the runs in ./runs (or ORCH_RUNS), newest last, as they were last seen."""
    Console().print(runs_table(runs_root()))
