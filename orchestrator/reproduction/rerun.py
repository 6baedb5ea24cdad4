"""Launch a recorded experiment once more, as a run of its own, for `orch rerun`.

In: a run, overrides and a profile. Out: a new run, which the command then submits. It runs with the
present code, or with the copy of the code that the first one was launched with. For the second, a
process of its own checks the description with the engines of that copy, which come first on
PYTHONPATH. It reads a request as JSON and writes its answer as JSON:

    python -P -m orchestrator.reproduction.rerun < REQUEST
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.checks.launch import check
from orchestrator.description.profile import Profile
from orchestrator.errors import CheckError, OrchError, RunError
from orchestrator.planning.plan import RUN, Plan, moved
from orchestrator.planning.planner import make_plan
from orchestrator.reproduction.differences import cut_short
from orchestrator.reproduction.some_jobs import Again, rerun_jobs
from orchestrator.runs.create import create_run
from orchestrator.runs.documents.reading import content_of
from orchestrator.runs.lookup import named
from orchestrator.runs.plan_file import read_plan
from orchestrator.runs.provenance.code_copies import CODE, copy_launched
from orchestrator.runs.provenance.launches import Tell, code_of, launches
from orchestrator.runs.run import Run
from orchestrator.scores.evolution import read_evolution


def recorded(run: Run) -> tuple[Path, dict[str, Any]]:
    """The experiment file that a run keeps, and the launch it is of. RunError if there is none, or
    not all of it."""
    if read_evolution(run.folder) is not None:
        raise RunError(
            f"{run.name} is an evolution, which has no experiment file: call orch evolve again"
        )
    complete = []
    for launch in launches(run.folder):
        if (Path(launch["folder"]) / "experiment.yaml").exists():
            complete.append(launch)
    if not complete:
        raise RunError(
            f"{run.name} was launched by an orch that kept no experiment file: launch "
            f"{run.plan.source} instead"
        )
    newest = complete[-1]
    path = Path(newest["folder"]) / "experiment.yaml"
    # Stands in place of what looked like a key when the file was kept.
    if b"<secret>" in content_of(path):
        raise RunError(
            f"{path}: a secret was taken out of it: launch {run.plan.source} instead, and "
            "pass secrets by the environment"
        )
    return path, newest


def launched_plan(
    run: Run, overrides: Sequence[str], profile: Profile, root: Path
) -> tuple[Plan, list[str]]:
    """The recorded plan, or with ``overrides`` that of the kept description, and what the launched
    code finds wrong with it.

    The planner is the present one; the engines' configs, with their checks and defaults, are those
    of the copy of the code.
    """
    path, launch = recorded(run)
    plan = without_folder(run, path)
    answer = ask_launched_code(
        run,
        {
            # Without --set the recorded plan is checked as it is; with it the description is read
            # anew.
            "plan": None if overrides else plan.to_json(),
            "path": str(path),
            "preset": launch["preset"],
            "overrides": [*launch["overrides"], *overrides],
            "profile": dataclasses.asdict(profile),
            "runs": str(root),
        },
    )
    if overrides:
        plan = Plan.from_json(answer["plan"])
    return plan, answer["problems"]


def without_folder(run: Run, source: Path) -> Plan:
    """The run's plan as it was before it had a folder, read from another file."""
    jobs = []
    # As it was launched: a run has the values that its searches have drawn among the axes.
    plan = read_plan(run.folder).plan
    for job in plan.jobs:
        jobs.append(dataclasses.replace(job, config=moved(job.config, str(run.folder), RUN)))
    return dataclasses.replace(plan, jobs=tuple(jobs), source=source)


def ask_launched_code(
    run: Run, request: dict[str, Any], copy: Path | None = None
) -> dict[str, Any]:
    """The answer of ``main`` below, in a process with the engines that the run was launched with,
    or with those of another ``copy``.

    Raises:
        CheckError: The description is wrong.
        RunError: That code cannot answer.
    """
    with tempfile.TemporaryDirectory() as first:
        # The copy itself has a part of orchestrator/ too, which is not to stand before the whole
        # one, so that a folder with its engines alone comes first.
        copy = copy or code_of(run.folder).folder
        (Path(first) / "engines").symlink_to(copy / "engines")
        places = [first, str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "orchestrator.reproduction.rerun"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))},
        )
    # As ``main`` ends when the description is wrong: one mistake a line.
    if done.returncode == 2:
        raise CheckError(*done.stderr.splitlines())
    if done.returncode:
        error_lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RunError(
            f"{run.name}: this orch cannot plan with the engines that it was launched "
            f"with ({error_lines[-1]}); rerun it with the present "
            "code, or with the orch of that time"
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@contextlib.contextmanager
def where_launched(run: Run) -> Iterator[None]:
    """Relative paths begin where the run was launched. RunError if that is gone."""
    if not Path(run.cwd).is_dir():
        raise RunError(
            f"{run.name} was launched in {run.cwd}, which is gone: make it again, or "
            f"launch {run.plan.source} elsewhere"
        )
    with contextlib.chdir(run.cwd):
        yield


def rerun(
    run: Run,
    root: Path,
    overrides: Sequence[str],
    profile: Profile | None,
    launched: bool,
    tell: Tell,
) -> Run:
    """Make the new run, ``<preset>-<plan hash>-rerun-<n>``; nothing is submitted.

    Args:
        run: The recorded one.
        root: Folder of all runs.
        overrides: ``--set`` arguments, after those of the launch.
        profile: The cluster; None: that of the run.
        launched: With the code as it was launched, not as it is now.
        tell: Gets a line for the user.

    Raises:
        CheckError: It could not run here.
    """
    profile = profile or run.profile
    with where_launched(run):
        if launched:
            plan, problems = launched_plan(run, overrides, profile, root)
        else:
            # The launch's own --set come first, so that those of now have the last word.
            path, launch = recorded(run)
            plan = make_plan(path, launch["preset"], [*launch["overrides"], *overrides])
            problems = check(plan, profile, runs=root)
        if problems:
            raise CheckError(*problems, "nothing was submitted")
        # Only now, when nothing is wrong, is there a folder.
        folder, suffix = new_folder(root, plan)
        kept_code = copy_code(run, folder) if launched else None
        # It is to run again, so nothing is taken from the run that it repeats.
        plan = dataclasses.replace(plan, reuse=False)
        made = create_run(plan, profile, root, tell, suffix, kept_code)
    code = "the code it was launched with" if launched else "the present code"
    tell(f"{made.name}: {run.name} once more, with {code}")
    return made


def rerun_some(
    run: Run,
    root: Path,
    names: Sequence[str],
    profile: Profile | None,
    launched: bool,
    tell: Tell,
) -> Run:
    """Make a run of some jobs of another one, with what those before them have left; nothing is
    submitted. Arguments and errors as of ``rerun``; RunError too if one of them has not run."""
    profile = profile or run.profile
    wanted = named(run, names) or set()

    def problems(plan: Plan, code: str | None) -> list[str]:
        if code is None:
            return check(plan, profile, runs=root)
        settings = {"profile": dataclasses.asdict(profile), "runs": str(root)}
        request = {"plan": plan.to_json(), **settings}
        found: list[str] = ask_launched_code(run, request, root / CODE / code)["problems"]
        return found

    again = Again(run=run, names=frozenset(wanted), root=root, profile=profile, check=problems)
    with where_launched(run):
        folder, suffix = new_folder(root, run.plan)
        try:
            made = rerun_jobs(again, folder, suffix, launched, tell)
        except OrchError:
            # Nothing was submitted: a folder without a plan would only be in the way.
            shutil.rmtree(folder, ignore_errors=True)
            raise
    code = "what ran" if launched else "the present code"
    tell(f"{made.name}: {cut_short(sorted(wanted))} of {run.name} once more, with {code}")
    return made


def new_folder(root: Path, plan: Plan) -> tuple[Path, str]:
    """Make the folder of the next rerun of a plan; also what follows the run's name in its name."""
    name = f"{plan.preset or 'full'}-{plan.identity[:8]}"
    number = 1
    # By itself: what else lies in its place is not taken for a rerun that is there.
    (root / plan.experiment).mkdir(parents=True, exist_ok=True)
    while True:
        suffix = f"-rerun-{number}"
        folder = root / plan.experiment / f"{name}{suffix}"
        try:
            # Making it is the test, so that two reruns at once get different ones.
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder, suffix


def copy_code(run: Run, folder: Path) -> dict[str, Any]:
    """Copy the files that the run's commands were launched with, if it kept some, and return what
    was noted of that launch. RunError if the code is gone."""
    launch = launches(run.folder)[-1]
    # RunError if the copy of the engines is gone.
    code_of(run.folder)
    if launch["work"]:
        copy_launched(run.folder / "work", launch["work"], folder / "work")
    return launch


def requested_plan(request: dict[str, Any]) -> Plan:
    """The plan of a request, or that of the description that it names."""
    if request["plan"]:
        return Plan.from_json(request["plan"])
    return make_plan(request["path"], request["preset"], request["overrides"])


def main() -> int:
    """Answer one request of ``launched_plan``; exit code 2 and one line per mistake if the
    description is wrong."""
    request = json.load(sys.stdin)
    try:
        plan = requested_plan(request)
        problems = check(plan, Profile(**request["profile"]), runs=Path(request["runs"]))
    except OrchError as error:
        print("\n".join(error.lines), file=sys.stderr)
        return 2
    json.dump({"plan": plan.to_json(), "problems": problems}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
