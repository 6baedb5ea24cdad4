"""Fine-tuning of a causal language model on replies, with a term that asks for different ones.

Light on purpose: the login node checks a config with it. ``python -m engines.polychromic CONFIG
--out FOLDER`` trains on the splits that the engine ``polychromic_data`` has made and leaves
checkpoints. What it minimises is the cross-entropy of the replies minus ``diversity.weight`` times
the diversity of samples to the same prompts; docs/polychromic.md derives the gradient.
The code for a GPU, 4-bit bases among it, has not been run on one.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from engines.contract.checkpoints import CheckpointSource
from engines.contract.config import DECIDES_NO_RESULT, IS_PATH, EngineConfig, keys_that_decide
from engines.shared.language_model.settings import LoraSettings

WARM = ("engines.polychromic.training",)
"""What a process may import once and then fork for each job of a pack: this starts no thread,
touches no GPU and draws no random number."""

DEFAULT_EPOCHS = 2


class Diversity(EngineConfig):
    """The term beside cross-entropy."""

    weight: float = Field(default=0.0, ge=0)
    """Lambda; 0 trains by cross-entropy alone and draws no sample."""
    objective: Literal["score_function", "gem", "collision"] = "score_function"
    """``score_function``: the expected diversity of sets of samples, by its unbiased gradient.
    ``collision``: 1 - sum p^2 of the next token, and ``gem``, both without samples and blind to
    nonsense. ``gem`` takes its place instead of cross-entropy, with beta = 1 / (1 + weight)."""
    gate: Literal["none", "quality"] = "quality"
    """``quality``: a pair counts only if the checker of the data takes both replies. ``none`` can
    be satisfied with nonsense."""
    baseline: Literal["leave_one_out", "cross_prompt"] = "leave_one_out"
    """What is taken from a set's diversity to lower the variance: that of the set without the
    sample, or the mean of the other prompts of the step."""
    distance: Literal["bigrams", "embedding"] = "bigrams"
    """1 - Jaccard index of the bigrams of two replies, or 1 - cosine of their embeddings."""
    embedder: str = "hashing"
    """For ``embedding``: ``hashing``, or the folder of a sentence-embedding model."""
    samples: int = Field(default=8, ge=2)
    """Samples per prompt. With 3 the estimate has more variance than with any other number: the
    baseline of a sample is then a single pair."""
    prompts_per_step: int = Field(default=8, ge=1)
    """Prompts that are sampled from, the first of the step's rows."""
    every_steps: int = Field(default=1, ge=1)
    """Steps between two uses of the term, which then counts so many times, so that the weight
    keeps its meaning."""
    max_new_tokens: int = Field(default=100, ge=1)
    """Longest sample."""

    @model_validator(mode="after")
    def _fits(self) -> Diversity:
        if self.baseline == "cross_prompt" and self.prompts_per_step < 2:
            raise ValueError(
                "baseline: cross_prompt needs another prompt to compare with; raise "
                "prompts_per_step, or take leave_one_out"
            )
        if self.objective != "score_function" and self.every_steps > 1:
            raise ValueError(
                f"every_steps: only score_function draws samples that cost time; {self.objective} "
                "comes with every step, leave every_steps out"
            )
        if self.distance != "embedding" and self.embedder != "hashing":
            raise ValueError(
                "embedder: only distance 'embedding' uses one; set distance, or leave embedder out"
            )
        return self

    @property
    def sampled(self) -> bool:
        """Whether a training with this term draws samples."""
        return self.weight > 0 and self.objective == "score_function"


class EarlyStopping(EngineConfig):
    """Stop when the cross-entropy of the validation replies no longer falls."""

    patience: int = Field(default=3, ge=1)
    """Stop after this many evaluations in a row without improvement."""
    min_delta: float = Field(default=0.0, ge=0)
    """An improvement is more than this below the lowest so far, nats."""


class Config(EngineConfig):
    """What a training is. Every random choice hangs on ``seed``."""

    DOES: ClassVar[str] = "trained"

    model: str | CheckpointSource = Field(json_schema_extra=IS_PATH)
    """Hugging Face folder of the base, or a checkpoint of another job."""
    data: str = Field(json_schema_extra=IS_PATH)
    """Output folder of the engine ``polychromic_data``."""
    lora: LoraSettings | None = LoraSettings()
    """Train adapters of low rank; null: the whole model."""
    quantization: Literal["none", "nf4"] = "none"
    """``nf4`` holds the frozen base in 4 bits, with double quantisation; on a GPU, with ``lora``,
    and never run so far."""
    seed: int = Field(default=0, ge=0)
    """Decides the order of the rows, the adapters' start, dropout and the samples."""
    epochs: int | None = Field(default=None, ge=1)
    """Passes over the rows; two where ``steps`` is not given either."""
    steps: int | None = Field(default=None, ge=1)
    """Optimiser steps, in place of ``epochs``."""
    batch_size: int = Field(default=16, ge=1)
    """Rows per step."""
    micro_batch_tokens: int = Field(default=16384, ge=1)
    """Tokens per forward and backward pass; a prompt that runs once for all of its answers counts
    once. Changes memory and speed, not the gradient."""
    learning_rate: float = Field(default=2e-4, gt=0)
    """AdamW's learning rate at the end of the warm-up."""
    warmup_share: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises from zero; then it falls to zero along a
    half cosine."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's decoupled weight decay, of matrices alone."""
    gradient_clip: float = Field(default=1.0, gt=0)
    """Largest norm of the gradient, both parts together."""
    max_tokens: int = Field(default=512, ge=2)
    """Rows whose prompt and reply are longer are left out, and counted."""
    diversity: Diversity = Diversity()
    """The term beside cross-entropy."""
    evaluate_every_steps: int = Field(default=50, ge=1)
    """Steps between two evaluations, each with a checkpoint; the last step always has one."""
    early_stopping: EarlyStopping | None = None
    """When to stop before the last step; null: never, so that arms of different weight take the
    same number of steps."""
    unique_valid_prompts: int | None = Field(default=None, ge=1)
    """How many of the first validation prompts get sampled replies at each evaluation. The
    different ones that the checker accepts are counted, and the best checkpoint by that is kept as
    well. null: no sampling in evaluations."""
    keep_checkpoints: int = Field(default=3, ge=1, json_schema_extra=DECIDES_NO_RESULT)
    """Newest checkpoints to keep; the best by each of the two measures stays besides."""
    save_state_every_steps: int = Field(default=100, ge=1, json_schema_extra=DECIDES_NO_RESULT)
    """Steps between saves of a state to continue from after a crash; there is one at each
    evaluation besides."""
    gradient_checkpointing: bool | None = None
    """Compute activations a second time instead of keeping them; null: on a GPU."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto`` takes the GPU if there is one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the base's weights and the passes; what is trained stays in float32. ``auto`` is bfloat16
    on a GPU, float32 on a CPU."""
    cpu_threads: int = Field(default=1, ge=1, le=256)
    """Threads on the CPU."""

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("epochs and steps: keep one of the two")
        if self.quantization == "nf4" and self.lora is None:
            raise ValueError("quantization: nf4 holds a frozen base, so it needs lora; set lora")
        if self.quantization == "nf4" and self.device == "cpu":
            raise ValueError("quantization: nf4 needs a GPU, and device is 'cpu'; take 'none'")
        if self.diversity.sampled and self.diversity.prompts_per_step > self.batch_size:
            raise ValueError(
                f"diversity.prompts_per_step ({self.diversity.prompts_per_step}) is more than "
                f"batch_size ({self.batch_size}): they are those of the step's rows; lower it"
            )
        return self

    def steps_of(self, rows: int) -> tuple[int, int]:
        """Steps of an epoch of so many rows, whose last batch may be smaller, and of the whole
        training."""
        an_epoch = -(-rows // self.batch_size)
        return an_epoch, self.steps or an_epoch * (self.epochs or DEFAULT_EPOCHS)

    def told_apart_by(self) -> dict[str, Any]:
        """Every key that decides the result, but for the seed."""
        deciding = set(keys_that_decide(type(self))) - {"seed"}
        return self.model_dump(mode="json", include=deciding)
