"""`orch rerun`: launch a recorded experiment once more, as a run of its own.

It runs with the present code, or with the copy of the code that it was launched with. For the second, a
process of its own plans and checks the description with the engines of that copy, which come first on
PYTHONPATH; it reads a request as JSON and writes its answer as JSON:

    python -P -m orchestrator.reproduction.rerun < REQUEST
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
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
from orchestrator.runs.code_copies import copy_launched
from orchestrator.runs.create import create_run
from orchestrator.runs.provenance import Tell, code_of, launches
from orchestrator.runs.run import Run
from orchestrator.scores.evolution import read_evolution


def recorded(run: Run) -> tuple[Path, dict[str, Any]]:
    """The experiment file that a run keeps, and the launch it is of. RunError if there is none, or
    not all of it."""
    if read_evolution(run.folder) is not None:
        raise RunError(
            f"{run.name} is an evolution, which has no experiment file: call orch evolve again"
        )
    kept = [
        one for one in launches(run.folder) if (Path(one["folder"]) / "experiment.yaml").exists()
    ]
    if not kept:
        raise RunError(
            f"{run.name} was launched by an orch that kept no experiment file: launch "
            f"{run.plan.source} instead"
        )
    path = Path(kept[-1]["folder"]) / "experiment.yaml"
    if "<secret>" in path.read_text():
        raise RunError(
            f"{path}: a secret was taken out of it: launch {run.plan.source} instead, and "
            "pass secrets by the environment"
        )
    return path, kept[-1]


def launched_plan(
    run: Run, overrides: Sequence[str], profile: Profile, root: Path
) -> tuple[Plan, list[str]]:
    """The recorded plan, or with ``overrides`` that of the kept description, and what the launched
    code finds wrong with it.

    The planner is the present one; the engines' configs, with their checks and defaults, are those
    of the copy of the code.
    """
    path, launch = recorded(run)
    jobs = tuple(
        dataclasses.replace(job, config=moved(job.config, str(run.folder), RUN))
        for job in run.plan.jobs
    )
    plan = dataclasses.replace(run.plan, jobs=jobs, source=path)
    request = {
        "plan": None if overrides else plan.to_json(),
        "path": str(path),
        "preset": launch["preset"],
        "overrides": [*launch["overrides"], *overrides],
        "profile": dataclasses.asdict(profile),
        "runs": str(root),
    }
    with tempfile.TemporaryDirectory() as first:
        # The copy itself has a part of orchestrator/ too, which is not to stand before the whole
        # one.
        (Path(first) / "engines").symlink_to(code_of(run.folder).folder / "engines")
        places = [first, str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "orchestrator.reproduction.rerun"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))},
        )
    if done.returncode == 2:
        raise CheckError(*done.stderr.splitlines())
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise RunError(
            f"{run.name}: this orch cannot plan with the engines that it was launched "
            f"with ({said}); rerun it with the present "
            "code, or with the orch of that time"
        )
    answer = json.loads(done.stdout)
    return Plan.from_json(answer["plan"]) if overrides else plan, answer["problems"]


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
    """Make the new run, ``<preset>-<plan hash>-rerun-<n>``; nothing is submitted. CheckError if it
    could not run here."""
    profile = profile or run.profile
    with where_launched(run):
        if launched:
            plan, problems = launched_plan(run, overrides, profile, root)
        else:
            path, launch = recorded(run)
            plan = make_plan(path, launch["preset"], [*launch["overrides"], *overrides])
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
    tell(
        f"{made.name}: {run.name} once more, with "
        f"{'the code it was launched with' if launched else 'the present code'}"
    )
    return made


def main() -> int:
    """Answer one request of ``launched_plan``; exit code 2 and one line per mistake if the
    description is wrong."""
    request = json.load(sys.stdin)
    try:
        plan = (
            Plan.from_json(request["plan"])
            if request["plan"]
            else make_plan(request["path"], request["preset"], request["overrides"])
        )
        problems = check(plan, Profile(**request["profile"]), runs=Path(request["runs"]))
    except OrchError as error:
        print("\n".join(error.lines), file=sys.stderr)
        return 2
    json.dump({"plan": plan.to_json(), "problems": problems}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
