"""`orch check`: find what a launch would lack."""

from __future__ import annotations

import typer

from orchestrator.cli.arguments import AsJson, ClusterName, Experiment, Preset, Set
from orchestrator.cli.json_output import print_json
from orchestrator.cli.shared import left_aside, planned, problems
from orchestrator.description.profile_reader import load_profile
from orchestrator.errors import CheckError


def check(
    experiment: Experiment,
    preset: Preset = None,
    overrides: Set = None,
    cluster: ClusterName = None,
    as_json: AsJson = False,
) -> None:
    """Find what would stop a launch. It looks at partition, account, GPU type, time limit, paths,
    variables, batch arithmetic and disk."""
    plan = planned(experiment, preset, overrides, not as_json)
    profile = load_profile(cluster)
    notes: list[str] = []
    found = problems(plan, profile, notes.append, notes.append, not as_json)
    if as_json:
        told = {"cluster": profile.name, "jobs": len(plan.jobs)}
        found_all = {"problems": found, "notes": notes}
        print_json("check", {"experiment": plan.experiment, **told, **found_all})
        raise typer.Exit(2 if found else 0)
    if found:
        raise CheckError(*found)
    done = f"{plan.experiment}: {len(plan.jobs)} jobs, nothing missing on '{profile.name}'"
    print_found([*notes, *left_aside(plan, profile)], done)


def print_found(notes: list[str], done: str) -> None:
    """What there is to say of a launch that lacks nothing."""
    from rich.console import Console

    from orchestrator.views.tables.drawing import screen_of, show
    from orchestrator.views.tables.told import listed

    console = Console()
    screen = screen_of(console)
    show(console, [*listed(notes, "·", "dim", screen), *listed([done], "✓", "green", screen)])
