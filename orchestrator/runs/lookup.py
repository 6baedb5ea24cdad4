"""Find a run, or a job of one, by what a person typed, and list all runs.

In goes a name, a path or nothing; out comes a ``Run``. Every command names both in the same way:
``RUN``, where it works on a whole run (``find_run``); ``RUN:JOB`` or ``RUN --job JOB``, where some
of its jobs may be meant (``find_target``) or one must be (``find_job``). Without RUN the newest run
is meant.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

import msgspec

from engines.contract.words import near
from jobs.spec import Job
from orchestrator.description.profile import Profile
from orchestrator.errors import RunError
from orchestrator.folders import runs_root as runs_root
from orchestrator.runs.choices.rounds import show_points
from orchestrator.runs.documents.damage import note
from orchestrator.runs.plan_file import NAME as PLAN
from orchestrator.runs.plan_file import PlanFile, read_plan
from orchestrator.runs.run import Run

KEYS = frozenset(field.name for field in fields(Profile))
"""Of a profile."""

OTHERS = 8
"""Runs of an experiment in which a job is looked for, the newest first."""


def open_run(folder: Path) -> Run:
    """A run from its folder."""
    return run_of(folder, read_plan(folder))


def run_of(folder: Path, held: PlanFile) -> Run:
    """A run from what its plan file holds."""
    profile = {key: value for key, value in held.profile.items() if key in KEYS}
    if len(profile) < len(held.profile):
        more = ", ".join(sorted(held.profile.keys() - profile.keys()))
        note(folder / PLAN, f"its profile has keys of another version ({more})", "left out")
    try:
        cluster = msgspec.convert(profile, Profile)
    except msgspec.ValidationError as error:
        raise RunError(
            f"{folder / PLAN}: not a plan file (its profile: {error}): remove it, and orch launch "
            "the experiment again writes it anew"
        ) from error
    here = folder.resolve()
    run = Run(here, held.plan, cluster, held.uid, held.cwd, held.created, held.moved)
    show_points(run)
    return run


def all_runs(root: Path) -> list[Path]:
    """Run folders below ``root``, newest launch last."""
    return sorted(
        # By plan.json: it appears last, so a folder without it is no run yet. A relaunch writes it
        # anew, which makes that run the newest.
        (path.parent for path in root.glob("*/*/plan.json")),
        key=lambda path: (path / "plan.json").stat().st_mtime,
    )


def find_run(name: str | None, root: Path | None = None) -> Run:
    """The run called ``name``: a path, ``experiment/run``, or an experiment (its newest run);
    without a name the newest of all that has jobs."""
    root = root or runs_root()
    if name is not None and (Path(name) / "plan.json").exists():
        return open_run(Path(name))
    runs = all_runs(root)
    if not runs:
        raise RunError(
            f"{root}: no run here yet; launch one: orch launch EXPERIMENT (or set "
            "ORCH_RUNS to where your runs are)"
        )
    fitting = [path for path in runs if name is None or name in names_of(path)]
    if not fitting:
        raise RunError(no_such_run(name or "", root, runs))
    if name is None:
        # An evolution before its first checkpoint is no run that anybody means.
        for path in reversed(fitting):
            run = open_run(path)
            if run.plan.jobs:
                return run
    # Several fit if an experiment was named: its newest run is meant.
    return open_run(fitting[-1])


def looked_at(text: str | None) -> list[str]:
    """The files and folders that decide which run a text means."""
    root = runs_root()
    plans = [str(path / PLAN) for path in all_runs(root)]
    experiments = dict.fromkeys(os.path.dirname(os.path.dirname(plan)) for plan in plans)  # noqa: PTH120
    named = [] if text is None else [str(Path(text).absolute() / PLAN)]
    before_colon, _ = split(text)
    if before_colon is not None and before_colon != text:
        named.append(str(Path(before_colon).absolute() / PLAN))
    return [str(root), *experiments, *plans, *named]


def names_of(path: Path) -> tuple[str, str, str]:
    """What a run may be called: by its experiment, in full, or by its folder alone."""
    return path.parent.name, f"{path.parent.name}/{path.name}", path.name


def no_such_run(name: str, root: Path, runs: Sequence[Path]) -> str:
    """What is wrong with a name that no run has."""
    run, colon, job = name.partition(":")
    if colon and any(run in ("", *names_of(path)) for path in runs):
        return f"{name}: this is about a whole run; leave out ':{job}'"
    if any(name in (job.name, job.stage) for job in open_run(runs[-1]).plan.jobs):
        return f"no run '{name}' in {root}; the job of the newest run is ':{name}'"
    # Without the folder's name alone, which ends in a hash that nobody types by heart.
    known = {known for path in runs for known in names_of(path)[:2]}
    return f"no run '{name}' in {root}{near(name, known)}"


def find_target(
    text: str | None, jobs: Sequence[str] | None = None, root: Path | None = None
) -> tuple[Run, list[str] | None]:
    """The run and the jobs that ``RUN``, ``RUN:JOB`` or ``:JOB`` and the options ``--job`` name;
    None: all jobs. Whether there are such jobs is for ``named`` to say."""
    run, job = split(text)
    wanted = [name for name in (job, *(jobs or ())) if name]
    return find_run(run, root), wanted or None


def split(text: str | None) -> tuple[str | None, str]:
    """The run (None: the newest) and the job ("": none) that a text names."""
    # A folder may have a colon in its name; that of an experiment or a run has none.
    if text is None or (Path(text) / "plan.json").exists():
        return text, ""
    run, _, job = text.partition(":")
    return run or None, job


def find_job(text: str | None, run: str | None = None, job: str | None = None) -> tuple[Run, str]:
    """The run and the name of the one job, or stage, that is meant.

    Args:
        text: ``RUN:JOB``, ``:JOB``, or JOB alone, of the newest run or of ``run``; with ``job`` it
            is the run.
        run: what ``--run`` says.
        job: what ``--job`` says.

    Raises:
        RunError: no job is named, two runs are, or there is no such run.
    """
    if run is not None and text is not None and job is not None:
        raise RunError(f"'{text}' and --run {run} both name a run; leave out one")
    if job is not None:
        return find_run(run if text is None else text), job
    if text is None:
        raise RunError("name a job: RUN:JOB, or :JOB of the newest run")
    if run is not None:
        return find_run(run), text.removeprefix(":")
    run_name, own = split(text)
    names = {name for path in all_runs(runs_root()) for name in names_of(path)}
    if own and (run_name is None or run_name in names):
        return find_run(run_name), own
    if run_name is not None and (Path(run_name) / "plan.json").exists():
        return find_run(run_name), own or only_job(find_run(run_name), text)
    newest = find_run(None)
    # A word alone is a job of the newest run, as it always was, also where a run is called so.
    if text in names and not any(text in one.name for one in newest.plan.jobs):
        return find_run(text), only_job(find_run(text), text)
    return newest, text


def only_job(run: Run, text: str) -> str:
    """The job of a run that has but one. RunError lists them."""
    if len(run.plan.jobs) != 1:
        names = ", ".join(job.name for job in run.plan.jobs[:12])
        raise RunError(f"'{text}' is a run; name a job of it, as in {text}:JOB; it has: {names}")
    return run.plan.jobs[0].name


def one_job(run: Run, name: str) -> Job:
    """The job that a person means. RunError lists the candidates if there are several."""
    fitting = named(run, [name]) or set()
    if len(fitting) > 1:
        raise RunError(
            f"'{name}' fits {len(fitting)} jobs: {', '.join(sorted(fitting)[:12])}; name one"
        )
    return next(job for job in run.plan.jobs if job.name in fitting)


def has_it(run: Run, name: str) -> str:
    """Which other run of the experiment has such a job: an experiment's name means its newest run,
    which may be one job run again."""
    others = [path for path in all_runs(run.folder.parent.parent) if path != run.folder]
    same = [path for path in reversed(others) if path.parent == run.folder.parent]
    for path in same[:OTHERS]:
        try:
            other = open_run(path)
        except RunError:
            continue
        if any(name in (job.name, job.stage) for job in other.plan.jobs):
            return f"; {other.name} has it"
    return ""


def named(run: Run, names: Iterable[str] | None) -> set[str] | None:
    """Job names from what a person typed: whole names, stages, or a part that only one job has."""
    if not names:
        return None
    found: set[str] = set()
    for name in names:
        fitting = [job.name for job in run.plan.jobs if name in (job.name, job.stage)]
        # Part of a name, such as `seed=0`, only where it is no whole name or stage.
        fitting = fitting or [job.name for job in run.plan.jobs if name in job.name]
        if not fitting:
            raise RunError(
                f"{run.name} has no job '{name}'; it has: "
                f"{', '.join(job.name for job in run.plan.jobs[:12])}"
                + (" ..." if len(run.plan.jobs) > 12 else "")
                + has_it(run, name)
            )
        found |= set(fitting)
    return found
