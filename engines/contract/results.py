"""``results.json``, the last file that an engine writes: rows of metric, value, n, spread and axes.

Engines write it; reports and the orchestrator read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from engines.contract.files import write_json


class Row(BaseModel):
    """One tidy result: a value and the axes that tell it apart, or the reason why there is no
    value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str
    """A name registered in ``engines.contract.metrics``."""
    value: float | None
    n: int
    """How many independent units (problems, seeds) the value is taken over."""
    spread: float | None = None
    """Standard error of ``value``; None where it makes no sense or n < 2."""
    axes: dict[str, str | int | float | bool] = {}
    error: str | None = None
    """Why ``value`` is None. Exactly one of the two is set."""

    def model_post_init(self, _context: object) -> None:
        """Refuse a row that has neither or both of value and error."""
        if (self.value is None) == (self.error is None):
            raise ValueError(
                f"row '{self.metric}' needs a value or an error, not both: "
                f"{self.value!r}, {self.error!r}"
            )


def write_results(
    out: Path,
    engine: str,
    config: BaseModel,
    rows: list[Row],
    seconds: float,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write ``results.json``, last of all, by rename.

    ``facts`` are what a report wants to say beside the rows: versions, sizes, file names below
    ``out``, scorer, sandbox.
    """
    from engines.contract.metrics import METRICS

    unknown = sorted({row.metric for row in rows} - METRICS.keys())
    if unknown:
        raise ValueError(f"metrics not registered in engines.contract.metrics: {unknown}")
    write_json(
        out / "results.json",
        {
            "schema": 1,
            "engine": engine,
            "config": config.model_dump(),
            "seconds": seconds,
            "rows": [row.model_dump() for row in rows],
            "facts": dict(facts or {}),
        },
    )


def read_results(out: Path) -> tuple[list[Row], dict[str, Any]]:
    """Rows and the whole document of a finished job's ``results.json``. FileNotFoundError if it is
    not done."""
    document = json.loads((out / "results.json").read_text())
    return [Row.model_validate(row) for row in document["rows"]], document
