"""Note what a run was launched with: commit and uncommitted changes, description, environment, and
the copy of the code that its jobs run.

In: the run's folder and its plan. Out, in the run's folder:

    code.json                      the newest copy of the code, which what is submitted next runs
    provenance/<n>/launch.json     launch n: when, by which command, git, environment of orch, code
    provenance/<n>/changes.patch   what differed from the commit; binary files are named, secrets
                                   left out
    provenance/<n>/experiment.yaml the experiment file as it was, with what it includes

Called by every command that submits (launch, retry, evolve, rerun). A launch that brings nothing
new adds nothing. What a job itself ran with is in its ``out/environment.json`` (engines) and the
``code`` of its ``attempt-<n>/claim.json``.
"""

from __future__ import annotations

import getpass
import shutil
import socket
import time
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from engines.contract.environment import environment
from orchestrator.errors import RunError
from orchestrator.node.system import write_json, write_text
from orchestrator.planning.plan import Plan
from orchestrator.runs.documents.reading import Moment, content_of, document, mapping
from orchestrator.runs.provenance.code_copies import (
    CODE,
    LAUNCHER,
    changed_files,
    sentence,
    take_engines,
    take_folder,
)
from orchestrator.runs.provenance.git_state import git_state
from orchestrator.runs.provenance.numbers import FOLDER, LAUNCH, launch_numbers, newest_launch
from orchestrator.runs.provenance.redaction import redacted

Tell = Callable[[str], None]
"""Takes a line for the person who launches."""
CURRENT = "code.json"
PATCH, DESCRIPTION = "changes.patch", "experiment.yaml"
"""Files of a launch beside its ``launch.json``."""


@dataclass(frozen=True)
class Code:
    """The copy of the code that a run's next submissions start."""

    name: str
    """Its hash."""
    folder: Path
    work: Path | None
    """Where commands run, if the experiment has ``snapshot: true``."""

    @property
    def program(self) -> Path:
        """What a scheduler starts."""
        package = self.folder / "orchestrator" / "node" / "__main__.py"
        before = self.folder / "orchestrator" / "node.py"  # where copies of older versions have it
        return before if before.exists() else package

    @property
    def launcher(self) -> Path | None:
        """What starts plain jobs in place of it; None where the copy has none."""
        path = self.folder / LAUNCHER
        return path if path.exists() else None


class Copies(TypedDict):
    """What ``code.json`` holds: names of copies."""

    code: str
    work: str | None


class Made(TypedDict):
    """What is read again of the list of a copy's files."""

    told: NotRequired[list[str]]
    """What a person should know of it; an older version noted nothing."""


class GitState(TypedDict):
    """What is read again of the state of a repository."""

    commit: str | None
    branch: str | None
    changed: list[str]


class Launch(Copies):
    """What is read again of ``launch.json``."""

    time: Moment
    action: str
    git: GitState | None
    environment: dict[str, Any]
    preset: NotRequired[str | None]
    overrides: NotRequired[list[str]]


def quiet(_line: str) -> None:
    """Tell nobody."""


def code_of(run_folder: Path) -> Code:
    """The copy that the newest launch or retry made. RunError if it is gone. For a run from before
    there were copies it is made now."""
    path = run_folder / CURRENT
    if not path.exists():
        write_json(path, {"code": take_engines(run_folder.parent.parent), "work": None})
    at = path.stat()
    # Each job of a launch asks for it, several times.
    code = noted_code(run_folder, (at.st_ino, at.st_mtime_ns, at.st_size))
    if not code.program.exists():
        raise RunError(
            f"{code.folder}: the code that this run was launched with is gone; take the "
            "present one: orch retry "
            f"{run_folder.parent.name}/{run_folder.name}"
        )
    return code


@lru_cache(maxsize=16)
def noted_code(run_folder: Path, _version: tuple[int, int, int]) -> Code:
    """The copy that a run's file names; of a version of that file, which is replaced as a whole."""
    root = run_folder.parent.parent
    copies = document(
        run_folder / CURRENT,
        Copies,
        "what the newest launch noted counts; orch retry writes it anew",
    )
    if copies is None:
        newest = launches(run_folder)[-1:] or [{"code": take_engines(root), "work": None}]
        copies = Copies(code=newest[0]["code"], work=newest[0]["work"])
    return Code(
        copies["code"],
        root / CODE / copies["code"],
        run_folder / "work" / copies["work"] if copies["work"] else None,
    )


def launches(run_folder: Path) -> list[dict[str, Any]]:
    """What each launch noted, oldest first; each with its ``folder``."""
    found = []
    for number in launch_numbers(run_folder):
        launch = launch_of(run_folder, number)
        if launch is not None:
            found.append(launch)
    return found


def launch_of(run_folder: Path, number: int) -> dict[str, Any] | None:
    """What one launch noted, with its ``folder``; None if it cannot be read."""
    folder = run_folder / FOLDER / str(number)
    launch = mapping(folder / LAUNCH, "this launch is left out", Launch)
    return None if launch is None else {**launch, "folder": str(folder)}


def note(
    run_folder: Path,
    plan: Plan,
    cwd: Path,
    action: str,
    tell: Tell = quiet,
    again: dict[str, Any] | None = None,
) -> None:
    """Keep the code as it is now and what it was launched with. Jobs submitted from now on run this
    code; queued ones keep theirs.

    Args:
        cwd: where the person called orch, whose repository is described.
        action: the command, such as ``launch`` or ``retry``.
        again: a launch of another run whose code is taken instead of the present one.
    """
    if again is None:
        code, patch = present_code(run_folder, plan, cwd)
    else:
        code, patch = launched_code(again)
    launch = {"action": action, **code, **circumstances(plan)}
    earlier = launches(run_folder)
    newest = earlier[-1] if earlier else None
    text = description(plan)
    if action == "retry" and newest is not None:
        # It takes the plan that is there, whatever the experiment file says by now.
        text = kept(newest, DESCRIPTION)
    copies = {"code": launch["code"], "work": launch["work"]}
    if newest is not None and same_launch(newest, launch, patch, text):
        if document(run_folder / CURRENT, Copies, "written anew") is None:
            write_json(run_folder / CURRENT, copies)
        return
    # Not by how many can be read: a number is never used twice.
    number = newest_launch(run_folder) + 1
    there = {"time": time.time(), "host": socket.gethostname(), "cwd": str(cwd)}
    write_launch(run_folder / FOLDER / str(number), {**launch, **there}, patch, text)
    write_json(run_folder / CURRENT, copies)
    if newest is not None:
        tell_changes(run_folder.parent.parent, newest, launch, tell)
    if action != "launch" and launch["work"]:  # whose check has told it
        tell_copied(run_folder, launch["work"], tell)


def forget_unused(run_folder: Path, used: Set[int]) -> None:
    """Take back what the newest launch noted if nothing was submitted by it: what has run is what
    earlier ones noted. With the run's lock held, when nothing can be submitted by it any more.

    Args:
        used: numbers of the launches that jobs were submitted by.
    """
    # An older version noted no number: what was submitted then may be of any launch.
    if not used or 0 in used or newest_launch(run_folder) in used:
        return
    number, earlier = newest_launch(run_folder), launches(run_folder)
    if len(earlier) < 2 or Path(earlier[-1]["folder"]).name != str(number):
        return
    before = earlier[-2]
    write_json(run_folder / CURRENT, {"code": before["code"], "work": before["work"]})
    shutil.rmtree(run_folder / FOLDER / str(number), ignore_errors=True)


def tell_copied(run_folder: Path, work: str, tell: Tell) -> None:
    """Say which files a copy of the folder has taken and left out."""
    made = document(run_folder / "work" / f"{work}.json", Made, "not told again")
    for line in () if made is None else made.get("told", ()):
        tell(line)


def write_launch(folder: Path, launch: dict[str, Any], patch: str, text: str) -> None:
    """Write what is noted of a launch, ``launch.json`` last."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in ((PATCH, patch), (DESCRIPTION, text)):
        if content:
            write_text(folder / file, content)
    write_json(folder / LAUNCH, launch)


def circumstances(plan: Plan) -> dict[str, Any]:
    """With which preset and overrides, in which environment and by whom it is launched."""
    return {
        "preset": plan.preset,
        "overrides": list(plan.overrides),
        "environment": environment(),
        "orchestrator": str(Path(__file__).parents[2]),
        "user": getpass.getuser(),
    }


def present_code(run_folder: Path, plan: Plan, cwd: Path) -> tuple[dict[str, Any], str]:
    """Copies of the code as it is now, what git says of it, and the uncommitted changes."""
    code = take_engines(run_folder.parent.parent)
    work = take_folder(cwd, run_folder / "work") if plan.snapshot else None
    state, patch = git_state(cwd)
    return {"code": code, "work": work, "git": state}, patch


def launched_code(launch: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The same of a launch of another run."""
    return {key: launch[key] for key in ("code", "work", "git")}, kept(launch, PATCH)


def same_launch(before: dict[str, Any], now: dict[str, Any], patch: str, text: str) -> bool:
    """Whether a launch brings nothing new, whatever command made it."""
    if any(before.get(key) != now[key] for key in now if key != "action"):
        return False
    return kept(before, PATCH) == patch and kept(before, DESCRIPTION) == text


def tell_changes(root: Path, before: dict[str, Any], now: dict[str, Any], tell: Tell) -> None:
    """Say that other code runs from now on."""
    if before["code"] != now["code"]:
        files = changed_files(root, before["code"], now["code"])
        tell(
            f"code: {sentence(files)} changed since the last launch; what is submitted "
            "from now on runs the present code "
            f"({now['code']}), what is queued keeps {before['code']}"
        )
    if before["work"] != now["work"]:
        tell(
            "code: files of the folder changed since the last launch; commands submitted "
            f"from now on run in work/{now['work']}"
        )


def kept(launch: dict[str, Any], file: str) -> str:
    """A text kept with a launch; empty if there was none."""
    path = Path(launch["folder"]) / file
    return content_of(path).decode(errors="replace") if path.exists() else ""


def description(plan: Plan) -> str:
    """The experiment file as it is now, without secrets; empty for a plan that was made without one
    (an evolution)."""
    if plan.source.suffix not in (".yaml", ".yml") or not plan.source.exists():
        return ""
    from orchestrator.description.joining.includes import joined_text

    # In one piece: what it includes is not beside it where it is kept, and may change.
    return redacted(joined_text(plan.source))


def summary(launch: dict[str, Any]) -> str:
    """One line for people: commit, changes, code."""
    state = launch["git"]
    if state is None:
        return f"code {launch['code']}, no git repository"
    files: Sequence[str] = state["changed"]
    changes = f" with changes in {sentence(files)}" if files else ""
    return (
        f"code {launch['code']}, commit {(state['commit'] or 'none')[:10]} "
        f"({state['branch']}){changes}"
    )
