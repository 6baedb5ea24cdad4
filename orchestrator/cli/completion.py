"""What the shell offers after TAB: runs, jobs, stages, experiments, presets and clusters.

In: the beginning of a word, and for bash the words as it cut them. Out: the names that begin so,
from names of files and the state file alone. Fast, because a person waits for it: no plan is read
whole, no scheduler asked, and an error offers nothing in place of a message. Called by typer for
the arguments in ``orchestrator.cli.arguments``, and by ``orchestrator.cli.__main__``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from orchestrator.cli import COMPLETION
from orchestrator.errors import OrchError

BREAKS = "=:"
"""bash takes these for the end of a word; job names hold them."""
# Of a line of state.json: {"name": "train/seed=0", "stage": "train", ...
NAME_AND_STAGE = re.compile(
    r'^\{"name": ?("(?:[^"\\]|\\.)*"), ?"stage": ?("(?:[^"\\]|\\.)*")', re.MULTILINE
)


def runs_root() -> Path:
    """As in orchestrator.runs.lookup, without its imports."""
    return Path(os.environ.get("ORCH_RUNS", "runs"))


def run_names(incomplete: str) -> list[str]:
    """``experiment/run``, newest last, and experiments that have a run."""
    folders = [path.parent for path in runs_root().glob("*/*/plan.json")]
    experiments = {folder.parent.name for folder in folders}
    names = sorted(f"{folder.parent.name}/{folder.name}" for folder in folders)
    return beginning_with(incomplete, [*sorted(experiments), *names])


def beginning_with(incomplete: str, names: Iterable[str]) -> list[str]:
    """Those that a person may mean who has typed so much."""
    return [name for name in names if name.startswith(incomplete)]


def state_file(run: str | None) -> Path | None:
    """The state file of the run that a command line names, or of the newest one."""
    if run and (Path(run) / "state.json").is_file():
        return Path(run) / "state.json"
    # From the oldest launch to the newest: the last that fits is kept.
    newest = None
    plans = sorted(runs_root().glob("*/*/plan.json"), key=lambda path: path.stat().st_mtime)
    for plan in plans:
        experiment, name = plan.parent.parent.name, plan.parent.name
        if run in (None, experiment, name, f"{experiment}/{name}"):
            newest = plan.with_name("state.json")
    return newest if newest is not None and newest.is_file() else None


def job_names(run: str | None, incomplete: str) -> list[str]:
    """Stages, then jobs of a run."""
    path = state_file(run)
    if path is None:
        return []
    stages: list[str] = []
    jobs: list[str] = []
    # Reading the file as JSON would take as long as all the rest for ten thousand jobs.
    for name, stage in NAME_AND_STAGE.findall(path.read_text()):
        jobs.append(json.loads(name))
        stages.append(json.loads(stage))
    return beginning_with(incomplete, dict.fromkeys([*stages, *jobs]))


def argument(ctx: Any, name: str) -> str | None:
    """The command's first argument. It is among the rest where the line ends in an option that has
    no value yet."""
    value: str | None = ctx.params.get(name) or next(iter(ctx.args), None)
    return value


def runs(incomplete: str) -> list[str]:
    """For an argument that names a run."""
    return run_names(incomplete)


def targets(incomplete: str) -> list[str]:
    """For ``RUN[:JOB]``: runs, and behind a colon the jobs of that run."""
    run, colon, job = incomplete.partition(":")
    if not colon:
        return run_names(incomplete)
    return [f"{run}:{name}" for name in job_names(run or None, job)]


def jobs_and_targets(ctx: Any, incomplete: str) -> list[str]:
    """For ``[RUN:]JOB``: jobs of the newest run, or of that of ``--run``; behind a run and a colon
    those of that run."""
    if ":" in incomplete:
        return targets(incomplete)
    return [*job_names(ctx.params.get("run"), incomplete), *run_names(incomplete)]


def jobs(ctx: Any, incomplete: str) -> list[str]:
    """For an argument or option that names a job; the run is another one of the same command."""
    named = argument(ctx, "run") or argument(ctx, "target")
    return job_names(named.partition(":")[0] if named else None, incomplete)


def experiments(incomplete: str) -> list[str]:
    """For an argument that names an experiment; files are offered by the shell itself."""
    from orchestrator.description.catalogue import known_experiments

    return beginning_with(incomplete, known_experiments())


def presets(ctx: Any, incomplete: str) -> list[str]:
    """For ``--preset``: those in the experiment's file."""
    from engines.contract.written.mistakes import Mistakes, TooMany
    from orchestrator.description.catalogue import WHOLE, find_experiment
    from orchestrator.description.joining.includes import read_joined

    try:
        root = read_joined(find_experiment(argument(ctx, "experiment") or ""), Mistakes())
    except (OrchError, TooMany):
        return []
    found = root.child("presets") if root is not None else None
    if found is None or not isinstance(found.value, dict):
        return []
    return beginning_with(incomplete, [WHOLE, *map(str, found.value)])


def clusters(incomplete: str) -> list[str]:
    """For ``--cluster``."""
    from orchestrator.description.profile_reader import known_profiles

    return beginning_with(incomplete, sorted(known_profiles()))


def is_break(word: str) -> bool:
    """Whether bash made a word of its own of a letter that ends a word for it."""
    return bool(word) and not word.strip(BREAKS)


def rejoined(words: list[str], place: int) -> tuple[list[str], int, int]:
    """Words as a person typed them, from those that bash made of them.

    Args:
        words: For ``train/arm=b`` these are ``train/arm``, ``=`` and ``b``.
        place: Which of them is to be completed.

    Returns:
        The whole words, which of them is to be completed, and how many of its letters bash keeps by
        itself and wants left out of the answer.
    """
    whole: list[str] = []
    whole_place, kept = 0, 0
    for index, word in enumerate(words):
        follows_break = index > 1 and is_break(words[index - 1])
        goes_on = bool(whole) and (is_break(word) or follows_break)
        if goes_on:
            before = len(whole[-1])
            whole[-1] += word
        else:
            before = 0
            whole.append(word)
        if index == place:
            whole_place = len(whole) - 1
            # bash replaces the word under the cursor, but never a break.
            kept = len(whole[-1]) if goes_on and is_break(word) else before
    return whole, whole_place, kept


def complete(app: Callable[[], object]) -> None:
    """Answer the shell; for bash, whose words end at ``=`` and ``:``, with what comes after the
    last of these."""
    # Only bash ends words at = and :.
    if os.environ[COMPLETION] != "complete_bash":
        app()
        return
    words = os.environ.get("COMP_WORDS", "").split("\n")
    if len(words) == 1:
        words = words[0].split(" ")
    words, place, kept = rejoined(words, int(os.environ.get("COMP_CWORD", "0")))
    os.environ["COMP_WORDS"] = "\n".join(words)
    os.environ["COMP_CWORD"] = str(place)
    answer = io.StringIO()
    # click ends the process once it has answered, but the answer is still to be cut.
    with contextlib.redirect_stdout(answer), contextlib.suppress(SystemExit):
        app()
    for line in answer.getvalue().splitlines():
        sys.stdout.write(f"{line[kept:]}\n")
