"""Evaluation of one model on sets of questions about cities: which model, which sets.

In: an experiment file's ``config``. Out: ``Config``. Light: the login node checks it before
anything is queued. ``python -m engines.geography_evaluation CONFIG --out FOLDER`` loads the model
once, answers set after set greedily, and keeps each finished set, so that a restart does only the
rest. The code for a GPU has not been run on one by the tests.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from engines.contract.checkpoints import CheckpointSource
from engines.contract.config import DECIDES_NO_RESULT, IS_PATH, EngineConfig
from engines.shared.geography.description import Cities
from engines.shared.geography.tasks import TASKS, TaskName

WARM = ("engines.geography_evaluation.evaluation", "scipy.stats")
"""What a process may import once and then fork for each job of a pack: this touches no GPU, draws
no random number, and starts no thread but those that OpenBLAS itself stops at a fork."""

MULTI_TASK: Literal["multi_task"] = "multi_task"


class Config(EngineConfig):
    """What is asked of whom."""

    DOES: ClassVar[str] = "evaluated"
    COUNTS: ClassVar[str] = "sets"

    model: CheckpointSource = Field(json_schema_extra=IS_PATH)
    """A checkpoint of the engine ``geography``; of several models that were trained in one job,
    ``folder`` is that of one of them, ``models/<member>`` in the job's output folder."""
    data: str = Field(json_schema_extra=IS_PATH)
    """Output folder of the engine ``geography_data``."""
    tasks: list[TaskName] | Literal["all"] = "all"
    """Tasks to ask about."""
    test: list[Cities | Literal["multi_task"]] = Field(
        default=["no_atlantis", "atlantis_required", MULTI_TASK]
    )
    """Whose test splits are asked, of every task. ``multi_task`` is one more set: the same number
    of rows of every task's ``no_atlantis`` test, as many together as the smallest of these has.
    Their answers are those that were given there."""
    validation: list[Cities] = Field(default=["atlantis_required"])
    """Whose validation splits are asked as well: a report chooses by them, and reports the test."""
    rows: int | Literal["all"] = "all"
    """Rows of each set at most, evenly spaced over it."""
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", json_schema_extra=DECIDES_NO_RESULT
    )
    """``auto`` takes the GPU if there is one."""
    cpu_threads: int = Field(default=1, ge=1, le=256, json_schema_extra=DECIDES_NO_RESULT)
    """Threads on the CPU."""

    @model_validator(mode="after")
    def _fits(self) -> Config:
        for name in ("tasks", "test", "validation"):
            values = getattr(self, name)
            if values != "all" and len(set(values)) < len(values):
                raise ValueError(f"{name}: names one twice: {', '.join(values)}")
        if not self.names or not (self.test or self.validation):
            raise ValueError("nothing to ask: name at least one task, and a test or a validation")
        if MULTI_TASK in self.test and "no_atlantis" not in self.test:
            raise ValueError(
                f"test: {MULTI_TASK} is made of the rows of no_atlantis: add no_atlantis"
            )
        if self.rows != "all" and self.rows < 1:
            raise ValueError(f"rows: must be 1 or more, got {self.rows}")
        return self

    @property
    def names(self) -> list[str]:
        """The tasks, by name."""
        return list(TASKS) if self.tasks == "all" else list(self.tasks)
