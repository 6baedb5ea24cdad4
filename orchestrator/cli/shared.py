"""What several commands do first: read an experiment into a plan, and check it against a
cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.description.profile import Profile
    from orchestrator.planning.plan import Plan


def planned(experiment: str, preset: str | None, overrides: list[str] | None) -> Plan:
    """The plan of an experiment given by name or path."""
    from orchestrator.description.catalogue import find_experiment
    from orchestrator.planning.planner import make_plan

    return make_plan(find_experiment(experiment), preset, overrides or [])


def problems(
    plan: Plan, profile: Profile, tell: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Everything that check finds; ``tell`` gets when Slurm would start a job of each kind."""
    from orchestrator.checks.launch import check as check_plan
    from orchestrator.runs.lookup import runs_root

    return check_plan(plan, profile, runs=runs_root(), tell=tell)
