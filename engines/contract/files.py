"""Files that appear whole or not at all: written under another name, then renamed.

Every file that another process may read while it is written goes through here; engines call it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write a whole file so that a reader sees the old content or the new one, never half of it."""
    # Hidden, and named by the process: two that write the same file do not write into one another.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        # Without it a crash of the machine may leave the new name with no content.
        os.fsync(file.fileno())
    temporary.replace(path)


def write_json(path: Path, value: object) -> None:
    """Write ``value`` as JSON by rename. NaN is refused: it is not JSON and not a result."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")
