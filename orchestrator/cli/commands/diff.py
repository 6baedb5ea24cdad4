"""`orch diff`: what differs between two runs."""

from __future__ import annotations

import json
from dataclasses import asdict

from orchestrator.cli.arguments import AsJson
from orchestrator.cli.commands.profile import Named


def diff(a: Named, b: Named, as_json: AsJson = False) -> None:
    """Show what differs between two runs: jobs, configs, resources, cluster, code, packages,
    results."""
    from orchestrator.reproduction.diff import differences, render
    from orchestrator.runs.lookup import find_run

    one, other = find_run(a), find_run(b)
    found = differences(one, other)
    if as_json:
        print(
            json.dumps(
                {"a": one.name, "b": other.name, "differences": [asdict(each) for each in found]},
                indent=1,
            )
        )
        return
    from rich.console import Console

    Console().print(render(one, other, found))
