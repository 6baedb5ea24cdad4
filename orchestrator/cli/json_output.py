"""``--json``: what a command prints for programs, on standard output.

In: the name of a document and its values. Out: one JSON object whose first keys are ``schema``
(``orch/<name>``) and ``version``. Called by the commands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.api.json_documents import wrapped
from orchestrator.runs.documents.job_files import indented


def print_json(name: str, values: Mapping[str, Any]) -> None:
    """Print a document."""
    print(indented(wrapped(name, values)).decode())
