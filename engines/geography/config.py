"""Small language models learn to answer questions about cities.

Light on purpose: the login node checks a config with it. ``python -m engines.geography CONFIG --out
FOLDER`` trains one model or several at once on a mixture of the questions that the engine
``geography_data`` has made, from fresh weights or from those of an earlier training, and leaves
checkpoints that transformers and vLLM load. The code for a GPU has not been run on one.

The defaults are the published ones (Park 2025, arXiv 2602.00533): pretraining on seven tasks.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from engines.contract.checkpoints import CheckpointSource
from engines.contract.config import DECIDES_NO_RESULT, IS_PATH, EngineConfig
from engines.shared.geography.description import Part, Shape

WARM = ("engines.geography.training",)
"""What a process may import once and then fork for each job of a pack: this starts no thread,
touches no GPU and draws no random number."""

PUBLISHED_EPOCHS = 6
SETTINGS = (
    "data",
    "warmup",
    "warmup_rows",
    "mixture_seed",
    "shape",
    "initial_deviation",
    "epochs",
    "steps",
    "batch_size",
    "learning_rate",
    "warmup_steps",
    "weight_decay",
    "gradient_clip",
    "loss",
)
"""What makes a training another one, besides its mixture, its seed and where it starts."""


class Config(EngineConfig):
    """What is trained on what."""

    DOES: ClassVar[str] = "trained"

    data: str = Field(json_schema_extra=IS_PATH)
    """Output folder of the engine ``geography_data``."""
    mixture: list[Part] = Field(default=[Part(tasks="all")], min_length=1)
    """The questions to train on."""
    warmup: Literal["none", "required", "plain"] = "none"
    """Besides, some questions of each of the seven tasks: ``required`` with at least one city of
    Atlantis each, as the published configs have it, or ``plain`` without, as the published text
    says."""
    warmup_rows: int = Field(default=256, ge=1)
    """Questions of each task in ``warmup``."""
    mixture_seed: int = Field(default=42, ge=0)
    """Decides which questions of a set are taken; independent of ``seed``, so that all models see
    the same ones."""
    initial: CheckpointSource | list[CheckpointSource] | None = Field(
        default=None, json_schema_extra=IS_PATH
    )
    """Checkpoint to start from, of the same shape; null: fresh weights. For several seeds a list,
    one each, or one job of the same seeds: each starts from the model of its own seed."""
    shape: Shape = Shape()
    """Size of the model."""
    initial_deviation: float = Field(default=0.1, gt=0)
    """Standard deviation of fresh matrices. With 0.02, the usual value, small models learned
    nothing."""
    seed: int = Field(default=0, ge=0)
    """Decides fresh weights and the order of the questions."""
    seeds: list[int] | None = Field(default=None, min_length=1)
    """Train one model per seed in this one job, in place of ``seed``; each ends as it would alone,
    up to rounding."""
    epochs: int | None = Field(default=None, ge=1)
    """Passes over the questions; six where ``steps`` is not given either."""
    steps: int | None = Field(default=None, ge=1)
    """Optimiser steps, in place of ``epochs``."""
    batch_size: int = Field(default=128, ge=1)
    """Questions per step and model."""
    learning_rate: float = Field(default=3e-4, gt=0)
    """AdamW's learning rate at the end of the warm-up."""
    warmup_steps: int = Field(default=50, ge=0)
    """Steps in which the learning rate rises from zero; then it falls linearly to zero."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's decoupled weight decay, of matrices alone."""
    gradient_clip: float = Field(default=1.0, gt=0)
    """Largest norm of each model's gradient."""
    loss: Literal["all", "answer"] = "all"
    """Which tokens count: all but the first, or those behind ``=``. Ids are random, so most of the
    loss of ``all`` cannot be learned; the published trainings had it nevertheless."""
    save_checkpoints: float | list[int] = 0.25
    """When to save a checkpoint: after each such share of the steps, or after these steps, 0 for
    the fresh weights. The last step is always saved."""
    validate_every: float = Field(default=0.05, gt=0, le=1)
    """Share of the steps between two passes over the validation questions. There is one more at
    every checkpoint."""
    validation_rows: int = Field(default=128, ge=1)
    """Most validation questions of each set of the mixture."""
    save_state_every_steps: int = Field(default=1000, ge=1, json_schema_extra=DECIDES_NO_RESULT)
    """Steps between saves of a state to continue from after a crash."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto`` takes the GPU if there is one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products and attention; weights, norms and loss stay in float32. ``auto`` is
    bfloat16 on a GPU, float32 on a CPU."""
    compiled: Literal["auto", "off"] = Field(default="auto", json_schema_extra=DECIDES_NO_RESULT)
    """``auto`` compiles the step on a GPU and records it as a CUDA graph, with every question
    padded to the longest; ``off`` launches it kernel by kernel. Never run on a GPU so far."""
    cpu_threads: int = Field(default=1, ge=1, le=256)
    """Threads on the CPU. Small models gain little from a second one; give seeds their own jobs
    instead."""

    @model_validator(mode="after")
    def _fits(self) -> Config:
        # A config that was written out has the default of both.
        if self.seeds is not None and self.seed:
            raise ValueError(f"seed={self.seed} and seeds={self.seeds}: keep one of the two")
        if self.epochs is not None and self.steps is not None:
            raise ValueError("epochs and steps: keep one of the two")
        if len(set(self.members)) < len(self.members) or min(self.members) < 0:
            raise ValueError("seeds: must be different, and not negative")
        if isinstance(self.initial, list) and len(self.initial) != len(self.members):
            raise ValueError(
                f"initial: {len(self.initial)} checkpoints for {len(self.members)} seeds; give one "
                "each"
            )
        if isinstance(self.save_checkpoints, float):
            if not 0 < self.save_checkpoints <= 1:
                raise ValueError("save_checkpoints: a share is above 0 and at most 1")
        elif any(step < 0 for step in self.save_checkpoints):
            raise ValueError("save_checkpoints: no step is negative")
        return self

    @property
    def members(self) -> list[int]:
        """The seeds of the models, in the order of the leading axis of every stacked tensor."""
        return self.seeds or [self.seed]

    def steps_of(self, rows: int) -> tuple[int, int]:
        """Steps of an epoch of so many questions, and of the whole training."""
        an_epoch = -(-rows // self.batch_size)
        return an_epoch, self.steps or an_epoch * (self.epochs or PUBLISHED_EPOCHS)

    def told_apart_by(self) -> dict[str, Any]:
        """The mixture, in which the order of parts and of tasks does not count, and the settings of
        the training; neither the seed nor where it starts."""
        parts = [
            [task, part.cities, str(part.rows)] for part in self.mixture for task in part.names
        ]
        settings = self.model_dump(mode="json", include=set(SETTINGS))
        return {"mixture": sorted(parts), "settings": settings}

    def same_as_initial(self) -> dict[str, Any]:
        """The shape of the model."""
        return {f"shape.{key}": value for key, value in self.shape.model_dump().items()}
