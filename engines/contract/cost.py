"""What a job has cost, as the orchestrator hands it over.

In: ``cost.json`` beside a job's ``results.json``. The program on the node writes it, because a
report may start before any ``orch`` command has seen the job end. Out: one ``Cost``. Called by the
engines that report on other jobs; none of them works out a cost from any other file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

COST_FILE = "cost.json"


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
    path = out / COST_FILE
    try:
        return Cost.model_validate_json(path.read_text())
    except FileNotFoundError:
        return f"its output folder has no {COST_FILE}"
    except (OSError, UnicodeDecodeError, ValidationError):
        return f"{path} cannot be read by this version"
