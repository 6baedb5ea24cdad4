"""`orch check`: find what a launch would lack."""

from __future__ import annotations

from orchestrator.cli.arguments import ClusterName, Experiment, Preset, Set
from orchestrator.cli.shared import left_aside, planned, problems
from orchestrator.description.profile_reader import load_profile
from orchestrator.errors import CheckError


def check(
    experiment: Experiment,
    preset: Preset = None,
    overrides: Set = None,
    cluster: ClusterName = None,
) -> None:
    """Check what a launch needs: partition, account, GPU type, time limit, paths, variables, batch
    arithmetic, disk."""
    plan, profile = planned(experiment, preset, overrides), load_profile(cluster)
    expected_starts: list[str] = []
    found = problems(plan, profile, expected_starts.append)
    if found:
        raise CheckError(*found)
    for line in [*expected_starts, *left_aside(plan, profile)]:
        print(line)
    print(f"{plan.experiment}: {len(plan.jobs)} jobs, nothing missing on '{profile.name}'")
