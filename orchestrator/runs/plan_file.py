"""``plan.json``: a run's plan, the profile of its cluster, and where and with what it was launched.
A job per line."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from orchestrator.errors import RunError
from orchestrator.node.system import write_text
from orchestrator.planning.plan import Plan, path_of
from orchestrator.runs.copies.moved import (
    based_anew,
    folder_here,
    is_elsewhere,
    place_before,
    uid_here,
)
from orchestrator.runs.documents.reading import (
    NUL,
    Moment,
    content_of,
    cut,
    decoded,
    document,
    values_of,
)
from orchestrator.runs.documents.whole_plan import wrong_in
from orchestrator.runs.versions import refuse_newer

NAME = "plan.json"


FORMAT = 1
"""The number of the present format. Format 0 differs in nothing but that it has no number."""


class DamagedPlan(RunError):
    """What is in the file is no plan, or not whole."""


class PlanFile(msgspec.Struct, frozen=True, kw_only=True):
    """What it holds."""

    plan: Plan
    """With absolute paths to other jobs' files."""
    profile: dict[str, Any]
    uid: str
    """Random; part of every token, so that no two runs share one."""
    cwd: str
    """Where orch was called: commands run there, relative paths in configs start there."""
    created: Moment
    """Unix seconds."""
    version: int = 0
    """The number of its format; older files have none."""
    folder: str = ""
    """The run's folder, which the paths are written for; older files have none."""
    moved: bool = False
    """Whether the run lies elsewhere now; the file does not say it."""


class Needs(TypedDict):
    """What is read here of a job's ``job.json``."""

    needs: dict[str, str]


def read_plan(run_folder: Path) -> PlanFile:
    """The plan file of a run, with the paths of the place where it lies now. RunError if it is
    none, or a newer version has written it."""
    held, here = written_plan(run_folder), run_folder.resolve()
    before = place_before(held.plan, held.folder, here) or place_by_needs(held.plan, here)
    if not is_elsewhere(before, here):
        return held
    uid_before = None
    with contextlib.suppress(OSError, RunError):
        uid_before = written_plan(Path(before)).uid
    return msgspec.structs.replace(
        held,
        plan=based_anew(held.plan, before, here),
        uid=uid_here(held.uid, uid_before, here),
        cwd=folder_here(held.cwd, before, here),
        folder=before,
        moved=True,
    )


def place_by_needs(plan: Plan, here: Path) -> str:
    """The folder that an older version made a run in, by what a job's files say that it needs; ""
    if none says it."""
    for job in plan.jobs:
        if job.after:
            found = document(here / job.folder / "job.json", Needs, "left out")
            for folder in found["needs"].values() if found is not None else ():
                return folder.partition("/jobs/")[0]
    return ""


class Place(msgspec.Struct):
    """What tells where a plan file was written."""

    folder: str = ""


def written_for(run_folder: Path) -> str:
    """The folder that a run's files were written for; "" where an older version wrote them, or none
    can be read."""
    try:
        return decoded(content_of(run_folder / NAME), Place).folder
    except (OSError, ValueError):
        return ""


def written_plan(run_folder: Path) -> PlanFile:
    """The plan file as it was written, wherever it lies now. Errors as of ``read_plan``."""
    path = run_folder / NAME
    content = content_of(path)
    try:
        if NUL in content:
            held = read_leniently(path, content)
        else:
            held = msgspec.json.decode(content, type=PlanFile, dec_hook=path_of)
    except (msgspec.DecodeError, RecursionError):
        held = read_leniently(path, content)
    refuse_newer(path, held.version, FORMAT)
    wrong = wrong_in(held.plan)
    if wrong:
        raise damaged(path, wrong)
    return held


def damaged(path: Path, why: object) -> DamagedPlan:
    """What to say of a file that is no plan."""
    return DamagedPlan(
        f"{path}: not a plan file ({cut(why)}): orch launch the experiment again writes it anew"
    )


def read_leniently(path: Path, content: bytes) -> PlanFile:
    """A file that is not as it should be: it may have a number that strict JSON has not (NaN,
    Infinity), be of a newer format, or be none of ours."""
    try:
        values = values_of(content)
        if isinstance(values, dict) and isinstance(values.get("version"), int):
            # Before the types are checked: "use that version" helps, "not a plan file" would not.
            refuse_newer(path, values["version"], FORMAT)
        return msgspec.convert(values, PlanFile, dec_hook=path_of)
    except (ValueError, msgspec.ValidationError) as error:
        raise damaged(path, error) from error


def write_plan(run_folder: Path, held: PlanFile) -> None:
    """Write it whole, by rename: from then on the run is there."""
    rest = {
        "version": FORMAT,
        "profile": held.profile,
        "uid": held.uid,
        "cwd": held.cwd,
        "created": held.created,
        "folder": str(run_folder.resolve()),
    }
    # Put together by hand, so that every job has a line: indented JSON of ten thousand jobs is long
    # and slow to search.
    plan = json.dumps(held.plan.head())
    jobs = ",\n".join(json.dumps(job.to_dict()) for job in held.plan.jobs)
    write_text(
        run_folder / NAME,
        f'{json.dumps(rest)[:-1]},\n"plan": {plan[:-1]}, "jobs": [\n{jobs}\n]}}}}\n',
    )
