"""What lies in a job's output folder when it is done: its results, and what it has cost.

``results.json`` is the last file that an engine writes. In: rows (metric, value, n, spread, axes),
the config, and facts that a report wants to show. Out: one JSON file by rename; that it is there
means that the job is done. Engines write it; reports and ``orch`` read it.

``cost.json`` is written by the program on the node, because a report may start before any ``orch``
command has seen its jobs end. Reports read it; no engine works out a cost from any other file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines.contract.config import ConfigError, EngineConfig
from engines.contract.files import content_of, loads, write_json
from engines.contract.metrics import METRICS

COST_FILE = "cost.json"


class Row(BaseModel):
    """One tidy result: a value and the axes that tell it apart, or the reason why there is no
    value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str
    """A name registered in ``engines.contract.metrics``."""
    value: float | None
    n: int = Field(ge=0, lt=1 << 53)
    """How many independent units (problems, seeds) the value is taken over."""
    spread: float | None = None
    """Standard error of ``value``; None where it makes no sense or n < 2."""
    # pydantic copies the default, so rows do not share one dict.
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


class ResultSource(EngineConfig):
    """The output folder of one job and what tells it apart. The planner fills these in."""

    job: str
    """Job name, such as ``evaluate/arm=pcgrad,seed=0``."""
    stage: str
    axes: dict[str, str | int | float | bool]
    folder: str


class Replaced(EngineConfig):
    """A job that took the place of another one, and why. The planner fills these in, where an
    engine has a key ``replaced``."""

    job: str
    """The job that is not there any more."""
    by: str
    """The one in its place."""
    reason: str


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
    ``out``, scorer, sandbox. ValueError for a metric that is not registered.
    """
    # Checked here and not in Row: results of another version may hold metrics that are not known
    # now, and must still be readable.
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
    not done, ConfigError if the file is damaged."""
    path = out / "results.json"
    content = content_of(path)
    try:
        document: dict[str, Any] = loads(content)
        rows = [Row.model_validate(row) for row in document["rows"]]
        # Whoever reads the document goes by these.
        document["facts"].items()
        document["engine"].strip()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = "is empty" if not content else "is cut short, or holds something else"
        first = str(error).splitlines()[0]
        raise ConfigError(f"{path}: {what} ({first}); orch retry --job runs it again") from error
    return rows, document


class Cost(BaseModel):
    """One job: what it asked for, where it ran, for how long.

    Sums over every start that left an exit record, failed ones included. While ``unknown`` is not
    empty they are lower bounds. A key that this version does not know is ignored.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = Field(alias="schema")
    seconds: float
    """Wall time."""
    cpu_hours: float
    """CPUs over all nodes, times time."""
    gpu_hours: float
    """GPUs over all nodes, times time; the jobs of a pack divide the GPUs that they share."""
    attempts: int
    """How often it was submitted."""
    requeues: int
    """How often the scheduler started an attempt again."""
    hosts: list[str]
    """Where its starts ran."""
    cpus: int | None
    gpus: int | None
    memory_gb: int | None
    """What the newest start asked for, over all nodes; None: no record says."""
    unknown: list[str]
    """Sentences, what is not known."""


def read_cost(out: Path) -> Cost | str:
    """The cost of the job with the output folder ``out``; in words, why it is not known."""
    # Words instead of an error: a report without costs is better than no report.
    path = out / COST_FILE
    try:
        return Cost.model_validate_json(content_of(path))
    except FileNotFoundError:
        return f"its output folder has no {COST_FILE}"
    except (OSError, UnicodeDecodeError, ValidationError):
        return f"{path} cannot be read by this version"
