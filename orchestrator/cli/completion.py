"""What the shell offers after TAB: runs, jobs, stages, experiments, presets, clusters. Read from
names of files and the state file alone.

Fast, because a person waits for it: no plan is read whole, no scheduler asked, and a mistake offers
nothing in place of a message.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.errors import OrchError

VARIABLE = "_ORCH_COMPLETE"
BREAKS = "=:"
"""bash takes these for the end of a word; job names hold them."""
NAME_AND_STAGE = re.compile(
    r'^\{"name": ?("(?:[^"\\]|\\.)*"), ?"stage": ?("(?:[^"\\]|\\.)*")', re.MULTILINE
)


def runs_root() -> Path:
    """As in orchestrator.runs.lookup, without its imports."""
    return Path(os.environ.get("ORCH_RUNS", "runs"))


def run_names(incomplete: str) -> list[str]:
    """``experiment/run``, newest last, and experiments that have a run."""
    folders = [path.parent for path in runs_root().glob("*/*/plan.json")]
    names = [f"{folder.parent.name}/{folder.name}" for folder in folders]
    return [
        name
        for name in [*sorted({folder.parent.name for folder in folders}), *sorted(names)]
        if name.startswith(incomplete)
    ]


def state_file(run: str | None) -> Path | None:
    """The state file of the run that a command line names, or of the newest one."""
    if run and (Path(run) / "state.json").is_file():
        return Path(run) / "state.json"
    plans = sorted(runs_root().glob("*/*/plan.json"), key=lambda path: path.stat().st_mtime)
    fitting = [
        path.with_name("state.json")
        for path in plans
        if run
        in (
            None,
            path.parent.parent.name,
            f"{path.parent.parent.name}/{path.parent.name}",
            path.parent.name,
        )
    ]
    return fitting[-1] if fitting and fitting[-1].is_file() else None


def job_names(run: str | None, incomplete: str) -> list[str]:
    """Stages, then jobs of a run."""
    path = state_file(run)
    pairs = (
        [
            (json.loads(name), json.loads(stage))
            for name, stage in NAME_AND_STAGE.findall(path.read_text())
        ]
        if path
        else []
    )
    names = list(dict.fromkeys([*(stage for _, stage in pairs), *(name for name, _ in pairs)]))
    return [name for name in names if name.startswith(incomplete)]


def argument(ctx: Any, name: str) -> str | None:
    """The command's first argument. It is among the rest where the line ends in an option that has
    no value yet."""
    found: str | None = ctx.params.get(name) or next(iter(ctx.args), None)
    return found


def runs(incomplete: str) -> list[str]:
    """For an argument that names a run."""
    return run_names(incomplete)


def jobs(ctx: Any, incomplete: str) -> list[str]:
    """For an argument or option that names a job; the run is another one of the same command."""
    return job_names(argument(ctx, "run"), incomplete)


def experiments(incomplete: str) -> list[str]:
    """For an argument that names an experiment; files are offered by the shell itself."""
    from orchestrator.description.catalogue import known_experiments

    return [name for name in known_experiments() if name.startswith(incomplete)]


def presets(ctx: Any, incomplete: str) -> list[str]:
    """For ``--preset``: those in the experiment's file."""
    import yaml

    from orchestrator.description.catalogue import WHOLE, find_experiment

    try:
        values = yaml.safe_load(find_experiment(argument(ctx, "experiment") or "").read_text())
        names = [WHOLE, *values["presets"]]
    except (OrchError, OSError, KeyError, TypeError, yaml.YAMLError):
        return []
    return [name for name in names if name.startswith(incomplete)]


def clusters(incomplete: str) -> list[str]:
    """For ``--cluster``."""
    from orchestrator.description.profile import known_profiles

    return [name for name in sorted(known_profiles()) if name.startswith(incomplete)]


def rejoined(words: list[str], place: int) -> tuple[list[str], int, int]:
    """Words as a person typed them, from those that bash made of them.

    Returns them with the place of the one to complete, and how many of its letters bash keeps by
    itself.
    """
    found: list[str] = []
    here, kept = 0, 0
    for number, word in enumerate(words):
        is_break = bool(word) and not word.strip(BREAKS)
        glued = bool(found) and (
            is_break
            or (number > 1 and bool(words[number - 1]) and not words[number - 1].strip(BREAKS))
        )
        if glued:
            found[-1] += word
        else:
            found.append(word)
        if number == place:
            here = len(found) - 1
            kept = len(found[-1]) - (0 if is_break or not glued else len(word))
            kept = kept if glued else 0
    return found, here, kept


def complete(app: Callable[[], object]) -> None:
    """Answer the shell; for bash, whose words end at ``=`` and ``:``, with what comes after the
    last of these."""
    if os.environ[VARIABLE] != "complete_bash":
        app()
        return
    words, place = (
        os.environ.get("COMP_WORDS", "").split("\n"),
        int(os.environ.get("COMP_CWORD", "0")),
    )
    if len(words) == 1:
        words = words[0].split(" ")
    words, place, kept = rejoined(words, place)
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(words), str(place)
    answer = io.StringIO()
    with contextlib.redirect_stdout(answer), contextlib.suppress(SystemExit):
        app()
    sys.stdout.write("".join(f"{line[kept:]}\n" for line in answer.getvalue().splitlines()))
