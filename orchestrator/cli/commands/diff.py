"""`orch diff`: what differs between two runs."""

from __future__ import annotations

from dataclasses import asdict

from orchestrator.cli.arguments import AsJson, RecordedRun
from orchestrator.cli.json_output import print_json
from orchestrator.runs.lookup import find_run


def diff(a: RecordedRun, b: RecordedRun, as_json: AsJson = False) -> None:
    """Show what differs between two runs. It looks at jobs, configs, resources, cluster, code,
    packages and results."""
    # Late, because the shell imports this module for every TAB after the command's name.
    from orchestrator.reproduction.diff import differences, render

    run_a, run_b = find_run(a), find_run(b)
    found = differences(run_a, run_b)
    if as_json:
        rows = [asdict(difference) for difference in found]
        print_json("diff", {"a": run_a.name, "b": run_b.name, "differences": rows})
        return
    from rich.console import Console

    from orchestrator.views.tables.drawing import screen_of, show

    console = Console()
    show(console, render(run_a, run_b, found, screen_of(console)))
