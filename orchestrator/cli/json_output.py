"""``--json``: the one place that wraps what a command prints for programs.

In: the name of a document and its values. Out: one JSON object on standard output, whose first keys
are ``schema`` (``orch/<name>``) and ``version``. A version rises when a key goes away or means
something else; new keys may come without that. `orch schema NAME` prints what each holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.runs.documents.job_files import indented

VERSIONS = {
    "archive": 1,
    "changed": 1,
    "check": 2,
    "compare": 1,
    "costs": 1,
    "diff": 1,
    "experiments": 1,
    "files": 1,
    "list": 1,
    "plan": 1,
    "profiles": 1,
    "report": 1,
    "results": 1,
    "settings": 1,
    "status": 1,
    "taken": 1,
    "wait": 1,
    "why": 1,
}
"""Every document, with the number of its present form."""


def wrapped(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """A document with its name and version."""
    return {"schema": f"orch/{name}", "version": VERSIONS[name], **values}


def print_json(name: str, values: Mapping[str, Any]) -> None:
    """Print a document."""
    print(indented(wrapped(name, values)).decode())
