"""Which job was chosen for one that follows the best of others, on disk.

    runs/<experiment>/<run>/choices/<job>/
        choice.json     the decision with every value and its file, and earlier decisions
        job             a link to the chosen job's folder, made just before the job is submitted

Paths in the job's config and in its ``job.json`` lead through the link, so a choice is made once: a
retry, a relaunch or a requeue finds the same job behind it. Written by orch, with the run's lock
held.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from jobs.choices import FOLDER, LINK, Choice, Outcome
from jobs.spec import Job
from orchestrator.node.system import write_json
from orchestrator.runs.documents.damage import note
from orchestrator.runs.documents.decisions import UNREADABLE, Past, check_findings
from orchestrator.runs.documents.reading import Moment, document, unknown_form
from orchestrator.runs.record import Record
from orchestrator.runs.run import Run

REMEDY = "left out; it is made anew while the job waits"


class Decided(TypedDict):
    """What ``choice.json`` holds."""

    chosen: str | None
    text: str
    time: Moment
    findings: list[dict[str, Any]]
    history: list[Past]
    job: NotRequired[str]
    choice: NotRequired[dict[str, Any]]


def choice_folder(run_folder: Path, job_folder: str) -> Path:
    """Where the choice for the job that lies in ``job_folder`` is kept."""
    return run_folder / FOLDER / Path(job_folder).name


def keep_choices(run: Run, outcomes: Mapping[str, Outcome]) -> None:
    """Write what was decided for each job, if it is not what is there."""
    for name, outcome in outcomes.items():
        keep(run, run.by_name[name], run.plan.choices[name], outcome)


def keep(run: Run, job: Job, choice: Choice, outcome: Outcome) -> None:
    """Write one decision; earlier ones stay in its history."""
    old = load_choice(run, job)
    findings = [asdict(one) for one in outcome.findings]
    new = {"chosen": outcome.job, "text": outcome.text, "findings": findings}
    if old is not None and (old["chosen"], old["text"], old["findings"]) == tuple(new.values()):
        return
    history = [] if old is None else old["history"]
    # A new value that leaves the answer as it is makes no history.
    if old is not None and old["chosen"] is not None and old["chosen"] != outcome.job:
        before: Past = {"time": old["time"], "chosen": old["chosen"], "text": old["text"]}
        history = [*history, before]
    path = choice_folder(run.folder, job.folder) / "choice.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = {"job": job.name, "choice": choice.to_dict(), "time": time.time()}
    write_json(path, {**head, **new, "history": history})


def load_choice(run: Run, job: Job | Record) -> Decided | None:
    """The decision that is on disk; None if there is none that can be read."""
    path = choice_folder(run.folder, job.folder) / "choice.json"
    decided = document(path, Decided, REMEDY)
    try:
        if decided is not None:
            check_findings(decided["findings"])
    except UNREADABLE as error:
        note(path, unknown_form(error), REMEDY)
        return None
    return decided


def settled(run: Run, job: Job | Record) -> str | None:
    """Name of the job that was chosen for good; None while that may change."""
    link = choice_folder(run.folder, job.folder) / LINK
    if not link.is_symlink():
        return None
    folder = link.readlink().name
    choice = run.plan.choices[job.name]
    return next(
        (name for name in choice.jobs if Path(run.by_name[name].folder).name == folder), None
    )


def axes_with_followed(run: Run, job: Job | Record) -> dict[str, str | int | float | bool]:
    """A job's axes, and those of the job that it follows as the best of several, itself or by way
    of the one job that it was made for."""
    axes = dict(run.by_name[job.name].axes)
    names = [job.name] if run.plan.choices else []
    while len(names) == 1:
        (name,) = names
        one = run.by_name[name]
        names = list(one.requires)
        if name in run.plan.choices:
            decided = load_choice(run, one)
            # Where the file is damaged the link still says which job was chosen.
            chosen = settled(run, one) if decided is None else decided["chosen"]
            followed = run.by_name.get(chosen or "")
            if followed is not None:
                axes = {**followed.axes, **axes}
                names = [followed.name]
    return axes


def settle(run: Run, job: Job) -> Job:
    """Let the choice hold from now on, and return the chosen job. Repeated it changes nothing,
    unless a person has taken another one before anything was submitted."""
    decided = load_choice(run, job)
    # Where the file is damaged the link still says which job was chosen.
    name = settled(run, job) if decided is None else decided["chosen"]
    assert name is not None  # a job is submitted only when its choice is made
    chosen = run.by_name[name]
    link = choice_folder(run.folder, job.folder) / LINK
    # Relative, so that it leads there still when the run is moved; by rename, so that nobody meets
    # a link that is not there.
    made = link.with_name(f".{LINK}")
    made.unlink(missing_ok=True)
    made.symlink_to(os.path.relpath(run.job_folder(chosen), link.parent))
    made.replace(link)
    return chosen


def forget(run_folder: Path, job_folder: str) -> None:
    """The job does other work from now on, so it has to be chosen anew."""
    shutil.rmtree(choice_folder(run_folder, job_folder), ignore_errors=True)
