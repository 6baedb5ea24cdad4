"""Where the files lie that real frameworks have written, and a look at them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from orchestrator.node.reads.kinds import Source
from orchestrator.node.reads.series import Found, Series
from tests.support.paths import ROOT

FRAMEWORKS = ROOT / "tests" / "golden" / "frameworks"


def look(
    kind: str,
    path: Path | str,
    step: str = "",
    better: dict[str, str] | None = None,
    final: bool = True,
    began: float = 0.0,
) -> Found:
    """What a reader finds there."""
    entry = {"kind": kind, "path": str(path), "step": step}
    job: dict[str, Any] = {"cwd": os.fspath(FRAMEWORKS), "files": "/nowhere", "began": began}
    return Source(entry, better or {}, job).read(final)


def curves(found: Found) -> dict[str, dict[int, float]]:
    """Metric -> step -> value, later lives first."""
    series = Series()
    series.add(found.points)
    return {name: values for name, values in series.values.items() if name}
