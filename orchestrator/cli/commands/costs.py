"""`orch costs`: hours asked for, used and wasted."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.api.json_documents import costs_document
from orchestrator.cli.arguments import AsJson, RunName
from orchestrator.cli.json_output import print_json
from orchestrator.lifecycle.refresh import refresh
from orchestrator.runs.lookup import find_run
from orchestrator.views.costs.tables import render, spent


def costs(
    run: RunName = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by", help="Axis to tell apart, such as seed; arm without it. May be repeated."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show hours asked for, used and wasted. Also what jobs used of what they had, and what to ask
    for next time. Hours are of GPUs, or of CPUs where no job has a GPU."""
    found = find_run(run)
    records, trouble = refresh(found)
    by = by or ["arm"]
    if as_json:
        print_json("costs", costs_document(found, records, trouble, by))
        return
    from rich.console import Console

    from orchestrator.views.tables.drawing import screen_of, show

    console = Console()
    show(console, render(found, spent(found, records, found.now(), by), screen_of(console)))
