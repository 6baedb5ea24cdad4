"""Run some jobs of a run once more, as a run of their own, for `orch rerun --job`.

In: a run, the names of jobs that have run. Out: a new run with these jobs and all before them: what
those have left is brought along, as it is, and is not run again. The jobs run what ran (the copy of
the engines, the copy of the folder), or the present code. Where no copy of the folder was kept, the
files that counted must be as they were.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from jobs.spec import Job
from orchestrator.description.profile import Profile
from orchestrator.errors import CheckError, RunError
from orchestrator.lifecycle.reused.since import changed_since
from orchestrator.node.reuse.evidence import LEFT, left_in
from orchestrator.node.system import write_json
from orchestrator.planning.plan import RUN, Plan, moved
from orchestrator.reproduction.differences import cut_short
from orchestrator.runs.choices.rounds import at_point, points_of
from orchestrator.runs.create import create_run
from orchestrator.runs.documents.decisions import override_lines, overrides_file
from orchestrator.runs.documents.reading import mapping
from orchestrator.runs.plan_file import read_plan
from orchestrator.runs.provenance.code_copies import CODE, copy_launched
from orchestrator.runs.provenance.launches import Tell
from orchestrator.runs.provenance.ran import Ran, RanJobs
from orchestrator.runs.record import Record
from orchestrator.runs.reuse.basis import Bases
from orchestrator.runs.reuse.bring import KEPT, Changed, bring, reused
from orchestrator.runs.reuse.finding import Left
from orchestrator.runs.run import Run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Again:
    """What is to run again, and where."""

    run: Run
    """The recorded one."""
    names: frozenset[str]
    root: Path
    """Folder of all runs."""
    profile: Profile
    check: Callable[[Plan, str | None], list[str]]
    """What is wrong with a plan, by the engines of a copy or (None) the present ones."""


def rerun_jobs(again: Again, folder: Path, suffix: str, launched: bool, tell: Tell) -> Run:
    """Fill the folder of the new run; nothing is submitted.

    Args:
        folder: as ``new_folder`` of rerun.py has made it, and what its name ends in.
        launched: with what ran, not with the present code.

    Raises:
        RunError, CheckError: it could not run so.
    """
    run = again.run
    ran = what_ran(run, again.names)
    plan = plan_of(run, again.names)
    refuse_without_results(run, plan, again.names)
    launch = None
    if launched:
        launch = common_launch(ran, again.root)
        refuse_changed(run, ran, tell)
    problems = again.check(plan, None if launch is None else launch["code"])
    if problems:
        raise CheckError(*problems, "nothing was submitted")
    if launch is not None and launch["work"]:
        source = next(iter(ran.values())).run_folder
        copy_launched(source / "work", launch["work"], folder / "work")
    made = create_run(plan, again.profile, again.root, tell, suffix, launch)
    bring_along(run, made, again.names)
    return made


def what_ran(run: Run, names: Iterable[str]) -> dict[str, Ran]:
    """What each of the jobs has run. RunError if one has not."""
    known = RanJobs(run)
    found = {}
    for job in run.plan.jobs:
        if job.name not in names:
            continue
        ran = known.of(job)
        if ran is None or (ran.attempt and not ran.host):
            raise RunError(
                f"{job.name} has not run yet, so there is nothing to repeat: orch launch "
                f"{run.plan.source}"
            )
        found[job.name] = ran
    return found


def plan_of(run: Run, names: Iterable[str]) -> Plan:
    """The plan of these jobs and of all that they need, as they were when they ran: with what
    searches have drawn, without the canaries that came before them."""
    held = read_plan(run.folder).plan
    wanted = with_all_before(held, names)
    points = points_of(run, {job.stage for job in held.jobs})
    jobs = []
    for job in held.jobs:
        if job.name in wanted:
            job = at_point(run, job, points)
            config = moved(job.config, str(run.folder), RUN)
            jobs.append(dataclasses.replace(job, config=config, canary=None))
    keys = {held.gate_keys[name] for name in wanted if name in held.gate_keys}
    return dataclasses.replace(
        held,
        jobs=tuple(jobs),
        gates={key: held.gates[key] for key in keys},
        choices={name: choice for name, choice in held.choices.items() if name in wanted},
        searches={},
        replaced=(),
        # They are to run again, so nothing is taken from the run that they repeat.
        reuse=False,
    )


def with_all_before(plan: Plan, names: Iterable[str]) -> set[str]:
    """The jobs and all that they read: those before them, those among which one was chosen, and
    those that a gate judges."""
    by_name = {job.name: job for job in plan.jobs}
    wanted: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in wanted or name not in by_name:
            continue
        wanted.add(name)
        waiting += by_name[name].after
        if name in plan.choices:
            waiting += plan.choices[name].jobs
        for condition in plan.conditions_of(name):
            waiting += condition.jobs
    return wanted


def refuse_without_results(run: Run, plan: Plan, names: Iterable[str]) -> None:
    """RunError if a job before them has left no results: it would be run again too."""
    lacking = [
        job.name
        for job in plan.jobs
        if job.name not in names and not run.results(job).exists() and not was_skipped(run, job)
    ]
    if lacking:
        raise RunError(
            f"{cut_short(lacking)}, of which the results are needed, has none: run the whole "
            f"again: orch rerun {run.name}"
        )


def was_skipped(run: Run, job: Job) -> bool:
    """Whether a gate has skipped a job; the same gates will skip it again."""
    return (run.job_folder(job) / "skipped.json").exists()


def common_launch(ran: Mapping[str, Ran], root: Path) -> dict[str, Any]:
    """The launch that submitted the jobs. RunError if nothing is known of it, or it is not one, or
    its code is not in the folder of all runs."""
    first = next(iter(ran.values()))
    for name, one in ran.items():
        if one.launch is None:
            why = one.unknown or "nothing was noted of its launch"
            raise RunError(f"{name}: {why}; run it with the present code: --code present")
        if (one.code, one.work) != (first.code, first.work):
            raise RunError(
                f"{first.job} and {name} have run unlike code; name them one at a time, or run "
                "them with the present code: --code present"
            )
    assert first.launch is not None
    code = root / CODE / first.code
    if not first.code or not code.exists():
        raise RunError(
            f"{code}: the code that {first.job} has run is gone; run it with the present code: "
            "--code present"
        )
    return {**first.launch, "code": first.code}


def refuse_changed(run: Run, ran: Mapping[str, Ran], tell: Tell) -> None:
    """CheckError if files that counted are not what they were, and no copy of them was kept."""
    changed: dict[str, list[str]] = {}
    unknown: dict[str, list[str]] = {}
    now = Bases(run)
    for name, one in ran.items():
        if one.unknown:
            unknown.setdefault(one.unknown, []).append(name)
        for file in changed_since(run, run.by_name[name], one, now, True):
            changed.setdefault(file, []).append(name)
    for why, names in unknown.items():
        tell(f"{cut_short(names)}: it is not known which files counted ({why}): the present ones")
    if changed:
        raise CheckError(
            *(
                f"{file} has changed since {cut_short(names)} ran, and no copy of it was kept "
                "(snapshot: true keeps one)"
                for file, names in changed.items()
            ),
            "restore what has changed, or run with the present files: --code present",
        )


def bring_along(run: Run, made: Run, names: Iterable[str]) -> None:
    """Bring what the jobs before have left. RunError if it is not what they left."""
    # A person's word in place of a gate holds again.
    words = [word for word in override_lines(run) if word["job"] in made.by_name]
    if words:
        path = overrides_file(made)
        path.parent.mkdir(exist_ok=True)
        write_json(path, words)
    records = {record.name: record for record in run.load()}
    for job in made.plan.jobs:
        record = records[job.name]
        if job.name in names or not run.results(record).exists():
            continue
        told = {
            "from": run.name,
            "job": job.name,
            "token": record.token or record.reused,
            "ended": record.ended,
            "time": time.time(),
            KEPT: True,
        }
        try:
            bring(run.out_folder(record), left_of(run, record), made.job_folder(job), told)
        except Changed as reason:
            raise RunError(
                f"{job.name}, of which the results are needed: {reason}: run the whole again: "
                f"orch rerun {run.name}"
            ) from reason


def left_of(run: Run, record: Record) -> dict[str, list[Any]]:
    """What a job has left, as its node wrote it down or as it was taken; else what lies there."""
    noted = reused(run.out_folder(record)) if record.reused else None
    path = run.attempt_folder(record) / LEFT
    if noted is None and path.exists():
        noted = mapping(path, "what lies in the folder counts", Left)
    return left_in(str(run.out_folder(record))) if noted is None else dict(noted["files"])
