"""The map that one model has of the cities it answers questions about.

In: an experiment file's ``config``. Out: ``Config``. Light: the login node checks it before
anything is queued. ``python -m engines.geography_maps CONFIG --out FOLDER`` takes the model's
states at every city, reads places from them with linear probes beside three controls, moves states
along a probe's direction to see whether answers follow, and draws the recovered map. The code for a
GPU has not been run on one by the tests.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from engines.contract.checkpoints import CheckpointSource
from engines.contract.config import DECIDES_NO_RESULT, IS_PATH, EngineConfig
from engines.shared.geography.tasks import TaskName

WARM = ("engines.geography_maps.maps", "safetensors.numpy", "matplotlib.pyplot")
"""What a process may import once and then fork for each job of a pack: this touches no GPU, draws
no random number, and starts no thread but those that OpenBLAS itself stops at a fork."""


class Config(EngineConfig):
    """Whose map is taken, and how."""

    DOES: ClassVar[str] = "extracted"

    model: CheckpointSource = Field(json_schema_extra=IS_PATH)
    """A checkpoint of the engine ``geography``; of several models that were trained in one job,
    ``folder`` is that of one of them, ``models/<member>`` in the job's output folder."""
    data: str = Field(json_schema_extra=IS_PATH)
    """Output folder of the engine ``geography_data``."""
    task: TaskName = "distance"
    """The question whose beginning is shown to the model: ``<bos>``, what the task's questions
    begin with, one city, and the sign behind it. States are taken at the last digit of the city's
    id and at that sign. Take a task that the model was trained on."""
    layers: list[int] | Literal["all"] = "all"
    """Layers by index: 0 is the embedding, the last one the raw output of the last layer, before
    the final norm."""
    fit_share: float = Field(default=0.75, gt=0, lt=1)
    """Share of the real cities that probes are fitted on; the others judge them."""
    split_seed: int = Field(default=42, ge=0)
    """Decides which cities these are: give all models that are compared the same."""
    seed: int = Field(default=0, ge=0)
    """Decides the untrained network, the shuffled coordinates and the random directions."""
    initial_deviation: float = Field(default=0.1, gt=0)
    """Standard deviation of the untrained network's weights: that of the training."""
    causal_questions: int = Field(default=200, ge=0)
    """Test questions of the causal check; 0: none is done."""
    shift: int = Field(default=300, ge=1, le=3600)
    """How far the causal check moves a city, in tenths of a degree."""
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", json_schema_extra=DECIDES_NO_RESULT
    )
    """``auto`` takes the GPU if there is one."""
    cpu_threads: int = Field(default=1, ge=1, le=256, json_schema_extra=DECIDES_NO_RESULT)
    """Threads on the CPU."""

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if self.layers == "all":
            return self
        if not self.layers or min(self.layers) < 0:
            raise ValueError("layers: name at least one, none below 0")
        if self.layers != sorted(set(self.layers)):
            raise ValueError(f"layers: must be ascending and different, got {self.layers}")
        return self
