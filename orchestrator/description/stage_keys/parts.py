"""Parts of a stage: its gates, what a command measures and what it reads, and what is replaced.

In: what stands below ``when``, ``unless``, ``metrics``, ``reads`` and ``replace`` of a stage. Out:
pydantic models, each key with its sentence. ``keys`` puts them into a stage.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from engines.contract.metrics import METRICS, Metric
from jobs.stages import Scalar
from orchestrator.description.checking import FileModel, Must, WordedError
from orchestrator.description.sweeps.axis_keys import metric_name

OUT_VARIABLE = "$ORCH_OUT"
"""Stands in a path for the folder that a command may write into."""
SHARE = r"^([0-9]{1,6}) of ([0-9]{1,6})$"
"""How many jobs of how many a gate asks for."""


def listed(value: Any) -> Any:
    """Wrap a single value in a list."""
    return value if isinstance(value, list) else [value]


def read_written(value: Any) -> Any:
    """``trainer`` alone stands for ``{kind: trainer}``."""
    return {"kind": value} if isinstance(value, str) else value


def share_of_jobs(value: Any) -> Any:
    """``2 of 3``."""
    found = re.fullmatch(SHARE, value) if isinstance(value, str) else None
    # `0 of 3` always holds and `4 of 3` never does, so neither is a gate.
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise WordedError("'for' must be such as 2 of 3, got {value}")
    return value


class GateFile(FileModel):
    """``when`` and ``unless`` of a stage."""

    MUST = "be a mapping such as {metric: test_accuracy, of: STAGE, at_least: 0.9}"

    metric: Annotated[
        str,
        BeforeValidator(metric_name),
        Field(json_schema_extra={"examples": sorted(METRICS)}),
        Must("name a metric of the results"),
    ]
    """A metric of the results: of an engine's, or one that the judged stage names under
    `metrics`."""
    of: Annotated[str, Field(max_length=100), Must("name the stage whose results count")]
    """The stage whose jobs are judged."""
    at_least: float | None = None
    """The value a job must reach."""
    at_most: float | None = None
    """The value a job must not exceed; instead of `at_least`."""
    share: Annotated[
        str | None,
        BeforeValidator(share_of_jobs),
        Field(alias="for", pattern=SHARE),
    ] = None
    """`2 of 3`: at least that share of the jobs, of five jobs four; without it all of them."""
    where: Annotated[dict[str, Scalar], Must("be a mapping axis: value")] = Field(
        default_factory=dict
    )
    """Axes that choose jobs (`seed`) or rows of their results (`checkpoint`, `task`); of
    checkpoints `best` counts without it. `"{axis}"` stands for the gated job's own value: with
    `{seed: "{seed}"}` each job hangs on the jobs of its seed alone."""


Gates = Annotated[
    list[GateFile],
    BeforeValidator(listed, json_schema_input_type=GateFile | list[GateFile]),
    Field(min_length=1),
    Must("be a gate or a list of gates"),
]


class MetricFile(FileModel):
    """A metric of a command, by its name below ``metrics``."""

    MUST = "be a mapping such as {better: higher}"

    better: Annotated[Literal["higher", "lower"] | None, Must("be higher or lower")] = None
    """Which values are better, `higher` or `lower`; without it the metric has no best value."""
    unit: str = ""
    """Its unit in words, such as `share` or `nats`."""
    about: str = ""
    """One sentence for people: what it measures."""
    low: float | None = None
    """The least value that it can have."""
    high: float | None = None
    """The largest value that it can have."""

    def metric(self, name: str) -> Metric:
        """The same as an engine's metric is described."""
        higher = None if self.better is None else self.better == "higher"
        return Metric(self.about or name, self.unit, self.low, self.high, higher)


class ReadFile(FileModel):
    """``reads`` of a command: something that a framework writes."""

    MUST = "be a kind such as trainer, or such as {kind: jsonl, path: logs/{seed}.jsonl}"

    kind: Literal["jsonl", "csv", "json", "tensorboard", "trainer", "lightning", "lm_eval", "wandb"]
    """What writes it: `jsonl`, `csv`, `json` (one object, of results), `tensorboard`, `trainer`
    (transformers, TRL), `lightning` (CSVLogger), `lm_eval` or `wandb` (offline)."""
    path: Annotated[str, Field(min_length=1), Must("be a path")] = OUT_VARIABLE
    """Where, from the folder that the command runs in; `{axis}` and `$ORCH_OUT` are filled in.
    Without it `$ORCH_OUT` is searched."""
    step: Annotated[str, Field(min_length=1), Must("be the name of a key or column")] = ""
    """Which key or column counts the steps, of `jsonl`, `csv` and `wandb`; `step` without it, of
    `wandb` what the framework above it logs."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> ReadFile:
        # A folder may hold any number of files of any form.
        if self.kind in ("jsonl", "csv", "json") and self.path == OUT_VARIABLE:
            raise WordedError(f"{{name}}: {self.kind} needs 'path', the file that is written")
        if self.step and self.kind not in ("jsonl", "csv", "wandb"):
            has = "has no steps" if self.kind == "json" else "counts its own steps"
            raise WordedError(f"{{name}}: {self.kind} {has}; take 'step' out")
        return self


class ReplacementFile(FileModel):
    """``replace`` of a stage."""

    MUST = "be such as {where: {seed: 2}, by: {seed: 4}, reason: TEXT}"

    where: Annotated[dict[str, Scalar], Field(min_length=1), Must("be a mapping such as {seed: 2}")]
    """The jobs that are replaced, by their axes."""
    by: Annotated[dict[str, Scalar], Field(min_length=1), Must("be a mapping such as {seed: 4}")]
    """What they are replaced by: other values of axes of this stage that are written as lists."""
    reason: Annotated[str, Field(min_length=1), Must("say why, for those who read the run later")]
    """Why; status, why and the reports say it."""
