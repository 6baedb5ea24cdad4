"""Files of a run that another version of orch may have written.

``state.json`` and ``plan.json`` carry the number of their format. Their modules hold one function
per step from a format to the next; ``migrated`` takes the plain values of a file through the steps
that it lacks. A file without a number is of format 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import RunError

Step = Callable[[dict[str, Any]], None]
"""Changes the values of a file of one format into those of the next, in place."""


def migrated(path: Path, values: Any, steps: Sequence[Step]) -> Any:
    """The values of a file in the newest format, which has as many steps before it as there are.

    Values that are no file of ours come back as they are: the schema says what is wrong with them.
    RunError if a newer version of orch has written the file.
    """
    version = values.get("version", 0) if isinstance(values, dict) else None
    # `{"version": "x"}` and a list are broken files; the check against the schema words that.
    if not isinstance(version, int):
        return values
    refuse_newer(path, version, len(steps))
    for step in steps[version:]:
        step(values)
    return {**values, "version": len(steps)}


def refuse_newer(path: Path, version: int, known: int) -> None:
    """RunError if the file is of a format that this version does not know yet."""
    if version > known:
        raise RunError(
            f"{path}: a newer version of orch has written it (format {version}, this one knows "
            f"formats up to {known}): use that version"
        )
