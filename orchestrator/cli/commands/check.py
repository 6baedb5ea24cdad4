"""`orch check`: find what a launch would lack."""

from __future__ import annotations

from orchestrator.cli.arguments import ClusterName, Experiment, Preset, Set
from orchestrator.cli.shared import planned, problems
from orchestrator.errors import CheckError


def check(
    experiment: Experiment,
    preset: Preset = None,
    overrides: Set = None,
    cluster: ClusterName = None,
) -> None:
    """Check what a launch needs: partition, account, GPU type, time limit, paths, variables, batch
    arithmetic, disk."""
    from orchestrator.description.profile_reader import load_profile

    made, profile = planned(experiment, preset, overrides), load_profile(cluster)
    starts: list[str] = []
    found = problems(made, profile, starts.append)
    if found:
        raise CheckError(*found)
    print("\n".join(starts), end="\n" if starts else "")
    print(f"{made.experiment}: {len(made.jobs)} jobs, nothing missing on '{profile.name}'")
