"""``--json``: what a command prints for programs, on standard output.

In: the name of a document and its values. Out: one JSON object whose first keys are ``schema``
(``orch/<name>``) and ``version``. Called by the commands.
"""

from __future__ import annotations

import codecs
import json
import re
import sys
from collections.abc import Mapping
from typing import Any

from orchestrator.api.json_documents import wrapped
from orchestrator.runs.documents.job_files import indented


def print_json(name: str, values: Mapping[str, Any]) -> None:
    """Print a document. Whatever standard output is encoded in, it is one that can be read."""
    text = indented(wrapped(name, values)).decode()
    if codecs.lookup(sys.stdout.encoding or "utf-8").name != "utf-8":
        text = re.sub(r"[^\x00-\x7f]", lambda one: json.dumps(one[0])[1:-1], text)
    print(text)
