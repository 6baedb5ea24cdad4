"""`orch page`: write a run as one HTML page."""

from __future__ import annotations

from orchestrator.cli.arguments import AsJson, RunName
from orchestrator.cli.json_output import print_json
from orchestrator.lifecycle.refresh import refresh
from orchestrator.runs.lookup import find_run
from orchestrator.views.busy.line import busy
from orchestrator.views.page.page import write_page
from orchestrator.views.ran.page import write_ran_page


def page(run: RunName = None, as_json: AsJson = False) -> None:
    """Write the run as one HTML page that needs no network. It has stages, timeline, curves, costs
    and causes of death. Beside it, ran.html says what exactly ran: commands, code, files,
    environment."""
    found = find_run(run)
    records, trouble = refresh(found)
    with busy(f"drawing {found.name}", not as_json):
        path = write_page(found, records, trouble, found.now())
        ran = write_ran_page(found)
    if as_json:
        print_json("files", {"run": found.name, "files": [str(path), str(ran)]})
    else:
        print(path)
