"""What a user's command leaves in its folder: progress, checkpoints and results, in the form that
engines write.

In: the folder that the command was given as ``ORCH_OUT``. Out: links through which everything that
reads an engine's output finds the command's, and when it has ended well the rows of its
``results.json``, with one sentence for each thing that is not in the documented form. Called by
attempt.py; the standard library alone.

A mistake in these files never makes a finished job a failed one: what is wrong is left out, and
told.
"""

from __future__ import annotations

import os

from orchestrator.node.light.forms import fits
from orchestrator.node.light.standard import dumps, loads, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILES = "files"
"""The folder below a job's output folder that a command is given."""
DOORS = ("progress.jsonl", "checkpoints")
"""What is found beside ``results.json`` of every job, by a link where a command wrote it."""
MOST_PROBLEMS = 20
"""Sentences that are kept; how many more there are is the last one."""
LONGEST_SHOWN = 80
EMPTY_ROW = {"metric": None, "value": None, "n": 1, "spread": None, "axes": None, "error": None}
"""The keys of a row."""
SCALARS = (str, int, float, bool)
"""What an axis of a row may have as its value."""


CHECKPOINT = {
    "name": str,
    "step": int,
    "epoch": int,
    "metrics": dict,
    "rank_by": (str, None),
    "better": (str, None),
    "fingerprint": (str, None),
}
"""What is read of a checkpoint's manifest, which a user's program may have written."""


def open_doors(out: str) -> str:
    """Make the command's folder below a job's output folder, and the links beside it; its path."""
    files = os.path.join(out, FILES)
    os.makedirs(files, exist_ok=True)
    for name in DOORS:
        # Relative, so that a run that is moved or copied keeps them. They may lead to nothing yet.
        with suppress(FileExistsError):
            os.symlink(os.path.join(FILES, name), os.path.join(out, name))
    return files


def axes_of(job: dict[str, Any]) -> dict[str, Any]:
    """What a job varies; of the best of several jobs that it follows also what that one varied."""
    chosen = job.get("chosen") or {}
    return {**(chosen.get("axes") or {}), **(job.get("axes") or {})}


def told(
    folder: str, attempt: str, job: dict[str, Any], checkpoints: list[dict[str, Any]]
) -> dict[str, str]:
    """Environment variables for a user's command.

    Args:
        folder: of the job.
        attempt: the name of the attempt's folder in it.
        checkpoints: those that it asks for.
    """
    followed = {**(job.get("beside") or {}), **job["needs"]}
    needs = {name: os.path.join(path, "out", FILES) for name, path in followed.items()}
    axes = axes_of(job)
    shown = ("name", "step", "path")
    return {
        "ORCH_JOB": job["name"],
        "ORCH_OUT": os.path.join(folder, "out", FILES),
        "ORCH_NEEDS": dumps(needs),
        "ORCH_AXES": dumps(axes),
        "ORCH_CHECKPOINTS": dumps([{key: one[key] for key in shown} for one in checkpoints]),
        "ORCH_RUN": os.path.dirname(os.path.dirname(folder)),
        "ORCH_REQUEUE": os.path.join(folder, attempt, "again"),
        "ORCH_ATTEMPT": attempt.removeprefix("attempt-"),
    }


def read_own_results(files: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of the command's ``results.json`` that are as they should be, and in words what is
    not; without the file there are none of either."""
    path = os.path.join(files, "results.json")
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return [], shortened(progress_problems(files))
    except (OSError, UnicodeDecodeError) as error:
        problems = [f"results.json: cannot be read: {error}", *progress_problems(files)]
        return [], shortened(problems)
    rows, problems = rows_of(text)
    return rows, shortened([*problems, *progress_problems(files)])


def rows_of(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows and problems of the text of a ``results.json``."""
    try:
        document = loads(text)
    except ValueError as error:
        return [], [f"results.json: not JSON: {error}"]
    listed = document.get("rows") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        return [], ['results.json: must be {"schema": 1, "rows": [...]}']
    if document.get("schema", 1) != 1:
        return [], [f"results.json: schema {shown(document['schema'])} is not known; write 1"]
    rows, problems = [], []
    for number, value in enumerate(listed, start=1):
        row, problem = checked_row(value)
        if problem:
            problems.append(f"results.json: row {number}: {problem}; left out")
        else:
            rows.append(row)
    return rows, problems


def checked_row(value: object) -> tuple[dict[str, Any], str]:
    """A row with all its keys, and what is wrong with it."""
    if not isinstance(value, dict):
        return {}, f"an object is expected, got {shown(value)}"
    row = {**EMPTY_ROW, "axes": {}, **value}
    unknown = sorted(set(row) - set(EMPTY_ROW))
    if unknown:
        return {}, f"unknown key {shown(unknown[0])}"
    if not isinstance(row["metric"], str) or not row["metric"]:
        return {}, f"metric: a name is expected, got {shown(row['metric'])}"
    if type(row["n"]) is not int or row["n"] < 0:
        return {}, f"n: a whole number is expected, got {shown(row['n'])}"
    axes = row["axes"]
    if not isinstance(axes, dict) or not all(isinstance(one, SCALARS) for one in axes.values()):
        return {}, f"axes: names with texts, numbers or booleans are expected, got {shown(axes)}"
    for key in ("value", "spread"):
        if row[key] is not None and not is_number(row[key]):
            return {}, f"{key}: a number is expected, got {shown(row[key])}"
    return with_reason(row)


def is_number(value: object) -> bool:
    """Whether it is a number, finite or not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_finite(value: float) -> bool:
    """Whether a number is neither NaN nor infinite."""
    return value - value == 0


def with_reason(row: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The row with a reason in place of a value that is not finite; a missing one must have one."""
    if row["value"] is None and not isinstance(row["error"], str):
        return {}, "value: missing, and no error says why"
    if row["value"] is not None and row["error"] is not None:
        return {}, "value and error: keep one of the two"
    if row["value"] is not None and not is_finite(row["value"]):
        row = {**row, "value": None, "error": f"the value was {row['value']}"}
    if row["spread"] is not None and not is_finite(row["spread"]):
        row = {**row, "spread": None}
    return row, ""


def progress_problems(files: str) -> list[str]:
    """What is wrong with the lines of ``progress.jsonl``."""
    problems = []
    try:
        with open(
            os.path.join(files, "progress.jsonl"), encoding="utf-8", errors="replace"
        ) as file:
            for number, line in enumerate(file, start=1):
                # A kill may tear a line; the start after it goes on behind it.
                problem = line_problem(line)
                if problem:
                    problems.append(f"progress.jsonl:{number}: {problem}; passed over")
    except OSError:
        return []
    return problems


def line_problem(line: str) -> str:
    """What is wrong with one line of progress; empty if nothing is."""
    try:
        value = loads(line)
    except ValueError:
        return f"not JSON: {shown(line.strip())}"
    if not isinstance(value, dict):
        return f"an object is expected, got {shown(value)}"
    if type(value.get("step")) is not int:
        return f"step: a whole number is expected, got {shown(value.get('step'))}"
    metrics = value.get("metrics", {})
    if not isinstance(metrics, dict) or not all(is_number(one) for one in metrics.values()):
        return f"metrics: names with numbers are expected, got {shown(metrics)}"
    for key in ("total", "time"):
        if value.get(key) is not None and not is_number(value[key]):
            return f"{key}: a number is expected, got {shown(value[key])}"
    return ""


def selected_checkpoints(source: dict[str, Any]) -> list[dict[str, Any]]:
    """Name, step, folder of the model and fingerprint of each checkpoint that a stage's
    ``checkpoints`` names, lowest step first: what ``engines.contract.checkpoints.select`` finds,
    without its libraries.

    ValueError if there is none.
    """
    found = whole_checkpoints(os.path.join(source["folder"], "checkpoints"))
    selector = source["checkpoints"]
    chosen = found
    if selector == "last":
        chosen = found[-1:]
    elif selector == "best":
        chosen = best_of(found)
    elif isinstance(selector, list):
        by_epoch = {one["epoch"]: one for one in found}
        chosen = [by_epoch[epoch] for epoch in sorted(selector) if epoch in by_epoch]
    elif selector != "all":
        chosen = found[::-1][:: int(selector.removeprefix("every:"))][::-1]
    if not chosen or (isinstance(selector, list) and len(chosen) < len(selector)):
        names = ", ".join(one["name"] for one in found) or "none"
        raise ValueError(
            f"no checkpoint '{selector}' in {source['folder']}/checkpoints; whole ones: {names}"
        )
    return [{key: one[key] for key in ("name", "step", "path", "fingerprint")} for one in chosen]


def whole_checkpoints(folder: str) -> list[dict[str, Any]]:
    """The manifests in a folder of checkpoints, with the folder of each model."""
    found = []
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        path = os.path.join(folder, name)
        # Hidden ones are being written; ``best`` is a link to one that is listed already.
        if name.startswith(".") or name == "best":
            continue
        with suppress(OSError, ValueError, KeyError, TypeError):
            with open(os.path.join(path, "manifest.json"), encoding="utf-8") as file:
                manifest = loads(file.read())
            one = {key: manifest[key] for key in ("name", "step", "epoch", "metrics")}
            one |= {"path": os.path.join(path, "model")}
            one |= {key: manifest.get(key) for key in ("rank_by", "better", "fingerprint")}
            if fits(one, CHECKPOINT):
                found.append(one)
    return sorted(found, key=lambda one: (one["step"], one["name"]))


def best_of(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The checkpoint whose own metric is best, of equals the earliest."""
    ranked = [one for one in found if is_number(one["metrics"].get(one["rank_by"]))]
    if not ranked:
        return []
    # One of an older version does not say which values are better; then higher ones are.
    lower = ranked[0]["better"] == "lower"

    def rank(one: dict[str, Any]) -> tuple[float, int]:
        # Turned around, not multiplied: a whole number may be larger than any float.
        value = one["metrics"][one["rank_by"]]
        return (-value if lower else value), -one["step"]

    return [max(ranked, key=rank)]


def shortened(problems: list[str]) -> list[str]:
    """The first problems, and how many more there are."""
    more = len(problems) - MOST_PROBLEMS
    return problems if more <= 0 else [*problems[:MOST_PROBLEMS], f"and {more} more"]


def shown(value: object) -> str:
    """A value in a message, in one line and not too long."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
