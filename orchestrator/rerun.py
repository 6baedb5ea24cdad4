"""`orch rerun`: a recorded experiment once more, as a run of its own, with the present code or with the one it was launched with."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator import evolution
from orchestrator.check import check
from orchestrator.create import create_run
from orchestrator.errors import CheckError, RunError
from orchestrator.plan import RUN, Plan, make_plan, moved
from orchestrator.profile import Profile
from orchestrator.provenance import Tell, code_of, launches
from orchestrator.run import Run
from orchestrator.snapshot import copy_launched


def recorded(run: Run) -> tuple[Path, dict[str, Any]]:
    """The experiment file that a run keeps, and the launch it is of. RunError if there is none, or not all of it."""
    if evolution.read(run.folder) is not None:
        raise RunError(f"{run.name} is an evolution, which has no experiment file: call orch evolve again")
    kept = [one for one in launches(run.folder) if (Path(one["folder"]) / "experiment.yaml").exists()]
    if not kept:
        raise RunError(f"{run.name} was launched by an orch that kept no experiment file: launch {run.plan.source} instead")
    path = Path(kept[-1]["folder"]) / "experiment.yaml"
    if "<secret>" in path.read_text():
        raise RunError(f"{path}: a secret was taken out of it: launch {run.plan.source} instead, and pass secrets by the environment")
    return path, kept[-1]


def planned_again(run: Run, overrides: Sequence[str], launched: bool) -> Plan:
    """The plan of a rerun: as the present code makes it of the kept description, or exactly the recorded one."""
    path, launch = recorded(run)
    if not launched:
        return make_plan(path, launch["preset"], [*launch["overrides"], *overrides])
    if overrides:
        raise RunError("--code launched runs the recorded plan as it is: leave --set out, or rerun with the present code")
    jobs = tuple(dataclasses.replace(job, config=moved(job.config, str(run.folder), RUN)) for job in run.plan.jobs)
    return dataclasses.replace(run.plan, jobs=jobs, source=path)


@contextlib.contextmanager
def where_launched(run: Run) -> Iterator[None]:
    """Relative paths begin where the run was launched. RunError if that is gone."""
    if not Path(run.cwd).is_dir():
        raise RunError(f"{run.name} was launched in {run.cwd}, which is gone: make it again, or launch {run.plan.source} elsewhere")
    with contextlib.chdir(run.cwd):
        yield


def rerun(run: Run, root: Path, overrides: Sequence[str], profile: Profile | None, launched: bool, tell: Tell) -> Run:
    """Make the new run, ``<preset>-<plan hash>-rerun-<n>``; nothing is submitted. CheckError if it could not run here."""
    profile = profile or run.profile
    with where_launched(run):
        plan = planned_again(run, overrides, launched)
        problems = check(plan, profile, runs=root)
        if problems:
            raise CheckError(*problems, "nothing was submitted")
        name, number = f"{plan.preset or 'full'}-{plan.identity[:8]}", 1
        while True:
            folder = root / plan.experiment / f"{name}-rerun-{number}"
            try:
                folder.mkdir(parents=True)
                break
            except FileExistsError:
                number += 1
        again = launches(run.folder)[-1] if launched else None
        if again is not None:
            code_of(run.folder)  # is it there?
            if again["work"]:
                copy_launched(run.folder / "work", again["work"], folder / "work")
        made = create_run(plan, profile, root, tell, f"-rerun-{number}", again)
    tell(f"{made.name}: {run.name} once more, with {'the code it was launched with' if launched else 'the present code'}")
    return made
