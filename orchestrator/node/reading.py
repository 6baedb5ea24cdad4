"""The reader beside a command whose stage has ``reads``: started with it, ended after it.

In: a job's folder. Out: what ``orchestrator/node/reads`` writes, and the rows and problems of it.
Called by attempt.py. Nothing in here makes a job fail.
"""

from __future__ import annotations

import os
import sys

from orchestrator.node.light.standard import suppress
from orchestrator.node.system import read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from typing import Any

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "reads", "__main__.py")
LAST_SECONDS = 300.0
"""How long the last look may take: a new checkpoint is hashed in it."""
FOLDER, FOUND, BEGAN = "read", "found.json", "began"
"""Below the output folder of a job: what was read of its command; an empty file of the time of the
job's first start."""


def prepare(out: str) -> None:
    """Make what is read the progress of the job, and note when the job began."""
    folder = os.path.join(out, FOLDER)
    os.makedirs(folder, exist_ok=True)
    # Exclusive: a second start goes on with what the first one has left.
    with suppress(FileExistsError):
        os.close(os.open(os.path.join(folder, BEGAN), os.O_CREAT | os.O_EXCL))
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(folder, FOUND))
    link = os.path.join(out, "progress.jsonl")
    draft = os.path.join(folder, f".progress.{os.getpid()}")
    os.symlink(os.path.join(FOLDER, "progress.jsonl"), draft)
    os.replace(draft, link)


def start(folder: str) -> subprocess.Popen[bytes] | None:
    """Start the reader of a job; None, with a line in the log, if that cannot be done."""
    import subprocess

    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-u", PROGRAM, folder],
            stdin=subprocess.PIPE,
            # What the node does to the command's session and group is not for it.
            start_new_session=True,
        )
    except OSError as error:
        print(f"orch: reads: the reader cannot be started: {error}", flush=True)
        return None


def finish(reader: subprocess.Popen[bytes] | None) -> None:
    """Have the reader look for the last time, and wait for it."""
    if reader is None or reader.stdin is None:
        return
    import subprocess

    with suppress(BrokenPipeError):
        reader.stdin.close()
    try:
        reader.wait(timeout=LAST_SECONDS)
    except subprocess.TimeoutExpired:
        reader.kill()
        reader.wait()


def rows_of_a_command(out: str, job: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of a finished command, its own and those that were read; in words what is wrong."""
    from orchestrator.node.own_results import FILES, read_own_results

    rows, problems = read_own_results(os.path.join(out, FILES))
    if job.get("reads"):
        read, more = rows_read(out)
        rows, wrong = joined(rows, read)
        problems = [*problems, *more, *wrong]
    if problems:
        from orchestrator.node.redaction import redacted_output

        # They quote what the command has written.
        problems = [redacted_output(problem) for problem in problems]
    return rows, problems


def facts_of(
    job: dict[str, Any], checkpoints: list[dict[str, Any]], problems: list[str]
) -> dict[str, Any]:
    """What stands beside a command's rows: what ran, on which checkpoints, what was passed over."""
    facts: dict[str, Any] = {"command": job["command"]}
    if checkpoints:
        keys = ("name", "step", "fingerprint")
        facts["checkpoints"] = [{key: one[key] for key in keys} for one in checkpoints]
    if problems:
        facts["problems"] = problems
    return facts


def rows_read(out: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows that were read, and in words what is wrong."""
    try:
        found = read_json(os.path.join(out, FOLDER, FOUND))
        rows, problems = found["rows"], found["problems"]
    except (OSError, ValueError, KeyError, TypeError):
        return [], [
            "reads: the reader has ended before it read the first time; the log may say why"
        ]
    if not found["final"]:
        problems = ["reads: the reader has ended before it read the last time; the log may say why"]
    return rows, problems


def joined(
    own: list[dict[str, Any]], read: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The command's own rows, then those that were read and that it does not have; and what is
    wrong with these."""
    from orchestrator.node.own_results import checked_row

    rows, problems = list(own), []
    taken = {key_of(row) for row in own}
    for value in read:
        row, problem = checked_row(value)
        if problem:
            problems.append(f"reads: {value.get('metric')}: {problem}; left out")
        elif key_of(row) not in taken:
            rows.append(row)
    return rows, problems


def key_of(row: dict[str, Any]) -> str:
    """What tells two rows apart."""
    import json

    return json.dumps([row["metric"], row["axes"]], sort_keys=True)
