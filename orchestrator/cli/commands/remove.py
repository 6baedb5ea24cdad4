"""`orch remove`: take a run away for good."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from orchestrator.cli.arguments import AsJson, DryRun, TakenRun
from orchestrator.cli.shared import print_taken
from orchestrator.errors import RunError
from orchestrator.runs.lookup import find_run
from orchestrator.views.busy.line import busy


def remove(
    run: TakenRun,
    checkpoints: Annotated[
        bool,
        typer.Option("--checkpoints", help="Only the checkpoints; results and logs stay."),
    ] = False,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without asking back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a run for good. What runs, or is needed by another run, stays: then the exit code is 2
    and nothing is removed."""
    # Late, because the shell imports this module for every TAB after the command's name.
    import orchestrator.storage.taking

    found = find_run(run)
    would = orchestrator.storage.taking.remove(found, checkpoints, dry_run=True)
    if dry_run or would.refused:
        print_taken(found, would, dry_run=True, as_json=as_json)
        return
    if not yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise RunError(
            f"{found.name}: it would be gone for good; check with --dry-run, then repeat with --yes"
        )
    if not yes:
        print_taken(found, would, dry_run=True, as_json=False)
        typer.confirm("remove it for good?", abort=True)
    with busy(f"removing {found.name}", not as_json):
        taken = orchestrator.storage.taking.remove(found, checkpoints)
    print_taken(found, taken, dry_run=False, as_json=as_json)
