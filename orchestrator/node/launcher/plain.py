"""What the launcher (launcher.c) is told of a plain job, so that it need not read JSON.

In: ``job.json`` and ``track.json`` as bytes, the folder, the token, the copy of the code. Out: the
content of the file ``launch``: a line with its form, for each job a line ``INDEX BEGIN LENGTH``, a
blank line, and at BEGIN the keys and values of that job, each with a NUL behind it. Called by orch
when it submits (orchestrator/runs/documents/launch_files.py), never on a node.

    folder, token, code, cwd, word    what to start; a ``word`` for each of the command
    file, holds, absent, need         conditions; another content, a file that is there, or a job
                                      without results, and the launcher leaves the job to Python
    remove, append, set, local, default, spare        the environment, one variable each
    resources, facts, cpus, memory    what the records say, the first two as JSON
"""

from __future__ import annotations

import os

from orchestrator.node.light.standard import dumps, loads
from orchestrator.node.own_results import told
from orchestrator.node.start import words_of
from orchestrator.node.tracking.variables import (
    SET_HERE,
    SETTINGS,
    WHO,
    identity,
    places,
    variables_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FORM = "orch launch 1"
"""First line of the file; what ``launcher --version`` says."""
LONGEST_NAME = 100
"""Of a variable; the launcher keeps names in a place of this size."""
LAUNCH = "launch"
"""Name of the file, beside an attempt's claim or in an array's folder."""


def launch_file(bodies: Mapping[int, bytes]) -> bytes:
    """The file for these jobs by the index of their element; of a single job it is 0."""
    width = len(str(sum(map(len, bodies.values())) + 64 * (len(bodies) + 1)))
    head = len(FORM) + 2 + sum(len(f"{index} ") + 2 * (width + 1) for index in bodies)
    lines, begin = [FORM], head
    for index, body in bodies.items():
        lines.append(f"{index} {begin:>{width}} {len(body):>{width}}")
        begin += len(body)
    return "\n".join([*lines, "", ""]).encode() + b"".join(bodies.values())


def body_of(
    folder: str,
    token: str,
    code: str,
    content: bytes,
    trackers: tuple[bytes, dict[str, Any] | None],
) -> bytes | None:
    """What the launcher is told of the first attempt at a job; None if the job is not plain.

    Args:
        folder: of the job, as the scheduler's command names it.
        code: folder of the copy of the code.
        content: of ``job.json``.
        trackers: content of ``track.json``, empty where there is none, and what it says.
    """
    job = loads(content.decode())
    if not is_plain(job):
        return None
    changes = environment(folder, job, code, trackers[1])
    track = os.path.join(os.path.dirname(os.path.dirname(folder)), SETTINGS)
    pairs = [
        ("folder", folder),
        ("token", token),
        ("code", os.path.basename(code)),
        ("file", os.path.join(folder, "job.json")),
        ("holds", content.decode()),
        *(
            [("file", track), ("holds", trackers[0].decode())]
            if trackers[0]
            else [("absent", track)]
        ),
        *program(folder, job),
        *changes,
    ]
    text = "".join(f"{key}\0{value}\0" for key, value in pairs)
    too_long = any(change.find("=") > LONGEST_NAME for _, change in changes)
    if too_long or text.count("\0") != 2 * len(pairs):
        return None
    # As Python decodes names of files, which need be in no encoding.
    return text.encode(errors="surrogateescape")


def program(folder: str, job: dict[str, Any]) -> list[tuple[str, str]]:
    """What to start, what must be there before, and what the records say of it."""
    resources = job["resources"]
    return [
        ("cwd", job["cwd"]),
        *(("need", path) for path in job["needs"].values()),
        *(("word", word) for word in words_of(job, os.path.join(folder, "out"))),
        ("resources", dumps(resources, indent=1)),
        ("facts", dumps({"command": job["command"]})),
        ("cpus", str(resources["cpus"])),
        ("memory", str(resources["memory_gb"])),
    ]


def is_plain(job: dict[str, Any]) -> bool:
    """Whether the launcher may run a job by what ``job.json`` says of it."""
    resources = job.get("resources")
    return bool(
        job.get("engine") is None
        and job.get("command")
        and not job.get("checkpoints")
        and not job.get("reads")
        and resources
        and resources["nodes"] == 1
        and not resources["gpus"]
    )


def environment(
    folder: str, job: dict[str, Any], code: str, settings: dict[str, Any] | None
) -> list[tuple[str, str]]:
    """How the launcher changes the environment that the job comes with: as ``Attempt.environment``
    and ``with_trackers`` do."""
    changes = [("remove", f"{name}=") for name in ("ORCH_WRAP", "ORCH_PYTHON", "PYTHONSAFEPATH")]
    importable = os.path.join(code, "orchestrator", "node", "importable")
    changes.append(("append", f"PYTHONPATH={importable}"))
    changes.append(("default", "PYTHONUNBUFFERED=1"))
    changes += [
        ("set", f"{name}={value}") for name, value in told(folder, "attempt-1", job, []).items()
    ]
    if settings is None:
        return changes
    said = settings["said"].get(job.get("stage"), [])
    local = places(os.path.join(folder, "out/files"), settings["online"])
    changes.append(("set", f"{SET_HERE}="))
    changes += [("local", f"{name}={value}") for name, value in local.items()]
    changes += [("remove", f"{name}=") for name in WHO if name not in said]
    who = variables_of(identity(settings, job))
    changes += [("default", f"{name}={value}") for name, value in who.items()]
    changes += [("spare", f"{name}=") for name in said]
    return changes
