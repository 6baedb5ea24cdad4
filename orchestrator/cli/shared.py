"""What several commands share: reading an experiment into a plan, checking it, what is said after a
launch, and following it.

Called by the commands that plan or launch. What reads descriptions or draws is imported late: the
shell imports a command for every TAB after its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from orchestrator.cli.json_output import print_json
from orchestrator.description.catalogue import find_experiment
from orchestrator.description.profile import Profile
from orchestrator.errors import RunError
from orchestrator.planning.plan import Plan
from orchestrator.runs.lookup import runs_root
from orchestrator.runs.record import Record
from orchestrator.runs.run import Run
from orchestrator.views.busy.alike import few_of
from orchestrator.views.busy.line import busy

if TYPE_CHECKING:
    from orchestrator.storage.taking import Taken


def planned(
    experiment: str, preset: str | None, overrides: list[str] | None, shown: bool = True
) -> Plan:
    """The plan of an experiment given by name or path; a terminal shows how far it is, if it is
    ``shown``."""
    with busy(f"planning {experiment}", shown):
        # Reading descriptions loads YAML and the engines' checked configs.
        from orchestrator.planning.planner import make_plan

        return make_plan(find_experiment(experiment), preset, overrides or [])


def problems(
    plan: Plan,
    profile: Profile,
    tell: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
    shown: bool = True,
) -> list[str]:
    """Everything that check finds; ``tell`` and ``warn`` get what else there is to say. A terminal
    shows how far it is, if it is ``shown``."""
    with busy(f"checking {len(plan.jobs):,} jobs", shown):
        from orchestrator.checks.launch import check

        return check(plan, profile, runs=runs_root(), tell=tell, warn=warn)


def left_aside(plan: Plan, profile: Profile) -> list[str]:
    """What stages say and this cluster cannot honour."""
    from orchestrator.checks.launch import unused
    from orchestrator.checks.trackers import trackers

    return [*unused(plan, profile), *trackers(plan, profile)]


def submitted_and_done(run: Run, records: Sequence[Record]) -> str:
    """One line on a launch: how many jobs were submitted and how many were done before."""
    from orchestrator.views.tables.folding import counted

    # A state of source "orch" is not of the scheduler: this pass has submitted it, and nobody has
    # asked since.
    submitted = sum(record.source == "orch" and record.state == "PENDING" for record in records)
    taken = sum(bool(record.reused) for record in records)
    done = sum(record.state == "COMPLETED" for record in records)
    elsewhere = f" ({taken} in other runs)" if taken else ""
    return (
        f"{run.name}: {counted(submitted, 'job')} submitted, {done} of {len(records)} done before"
        f"{elsewhere}; follow it: orch status {run.name}"
    )


def print_run(run: Run, records: Sequence[Record]) -> None:
    """A run that was just submitted, for programs."""
    from orchestrator.views.status import document

    print_json("status", document(run, records, ""))


def print_changes(run: Run, lines: Sequence[str], nothing: str, as_json: bool) -> None:
    """What a command has done to a run, line by line, or that there was nothing to do."""
    if as_json:
        print_json("changed", {"run": run.name, "lines": list(lines)})
    else:
        print("\n".join(few_of(lines, run.name)) or f"{run.name}: {nothing}")


def print_taken(
    run: Run, taken: Taken, dry_run: bool, as_json: bool, archive: str | None = None
) -> None:
    """What was taken of a run or would be. Exit code 2 where it stays, with the reasons."""
    if as_json:
        told = {"run": run.name, "folder": str(run.folder), "dry_run": dry_run}
        print_json("taken", {**told, **asdict(taken), "archive": archive})
    size = f"{taken.files} files, {taken.bytes / 1e6:.1f} MB"
    if taken.refused:
        lines = (f"{run.name} stays ({size}): {reason}" for reason in taken.refused)
        raise RunError(*lines)
    if not as_json:
        word = "would take" if dry_run else "took"
        into = f" into {archive}" if archive else ""
        print(f"{run.name}: {word} {size}{into}")


def follow(run: Run) -> int:
    """Show a run live until it is over; exit code 0 if everything completed. Ctrl-C leaves the run
    alone."""
    from orchestrator.views.watch.follow import watch_run

    return watch_run(run)
