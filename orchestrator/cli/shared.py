"""What several commands share: reading an experiment into a plan, checking it, what is said after a
launch, and following it.

Called by the commands that plan or launch. What reads descriptions or draws is imported late: the
shell imports a command for every TAB after its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.description.catalogue import find_experiment
from orchestrator.description.profile import Profile
from orchestrator.planning.plan import Plan
from orchestrator.runs.lookup import runs_root
from orchestrator.runs.record import Record
from orchestrator.runs.run import Run


def planned(experiment: str, preset: str | None, overrides: list[str] | None) -> Plan:
    """The plan of an experiment given by name or path."""
    from orchestrator.planning.planner import make_plan

    return make_plan(find_experiment(experiment), preset, overrides or [])


def problems(
    plan: Plan, profile: Profile, tell: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Everything that check finds; ``tell`` gets when Slurm would start a job of each kind."""
    from orchestrator.checks.launch import check

    return check(plan, profile, runs=runs_root(), tell=tell)


def left_aside(plan: Plan, profile: Profile) -> list[str]:
    """What stages say and this cluster cannot honour."""
    from orchestrator.checks.launch import unused

    return list(unused(plan, profile))


def submitted_and_done(run: Run, records: Sequence[Record]) -> str:
    """One line on a launch: how many jobs were submitted and how many were done before."""
    # A state of source "orch" is not of the scheduler: this pass has submitted it, and nobody has
    # asked since.
    submitted = sum(record.source == "orch" and record.state == "PENDING" for record in records)
    done = sum(record.state == "COMPLETED" for record in records)
    return (
        f"{run.name}: {submitted} jobs submitted, {done} of {len(records)} done before; "
        f"look at it: orch status {run.name}"
    )


def follow(run: Run) -> int:
    """Show a run live until it is over; exit code 0 if everything completed. Ctrl-C leaves the run
    alone."""
    from orchestrator.views.watch.follow import watch_run

    return watch_run(run)
