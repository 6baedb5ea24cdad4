"""Evaluation of models that write replies: how different they are, how many are any good.

In: an experiment file's ``config``, to which the planner adds the inputs. Out: ``Config``. Light:
the login node checks it before anything is queued. ``python -m engines.polychromic_evaluation
CONFIG --out FOLDER`` starts vLLM once for all models, keeps the samples of each, and a restart does
only the rest. The code for a GPU has not been run on one by the tests.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from engines.contract.checkpoints import CheckpointSource
from engines.contract.config import DECIDES_NO_RESULT, IS_PATH, EngineConfig
from engines.contract.results import ResultSource


class JudgeSettings(EngineConfig):
    """A language model that says which of two replies is better, through an endpoint that speaks
    OpenAI's protocol. It costs money: nothing is asked unless all of it fits into the budget."""

    url: str
    """Up to and with ``/v1``, such as ``https://api.example.org/v1``."""
    model: str
    """Its name there."""
    api_key_variable: str | None = "OPENAI_API_KEY"
    """Environment variable that holds the key, which is written nowhere; null: none is sent."""
    price_per_million_input_tokens: float = Field(ge=0, allow_inf_nan=False)
    """In the currency of the budget."""
    price_per_million_output_tokens: float = Field(ge=0, allow_inf_nan=False)
    """In the currency of the budget."""
    budget: float = Field(gt=0, allow_inf_nan=False)
    """Most that all calls of this job together may cost, restarts included."""
    against: dict[str, str | int | float | bool] = Field(default={"weight": 0}, min_length=1)
    """Axes of the arm that every other one is compared with, of the same seed."""
    comparisons: int = Field(default=500, ge=1)
    """Prompts per model at most, the first ones; each is asked in both orders."""
    max_output_tokens: int = Field(default=8, ge=1)
    """Longest answer, a word is wanted."""
    at_once: int = Field(default=4, ge=1, le=64)
    """Calls that are on their way at a time."""
    seconds: float = Field(default=60.0, gt=0)
    """How long to wait for an answer."""

    @field_validator("url")
    @classmethod
    def _is_plain(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^\s@?#]+", url):
            raise ValueError(
                "must begin with http:// or https://, without a name, a key or a query in it"
            )
        return url.rstrip("/")


class Config(EngineConfig):
    """What is asked of whom."""

    DOES: ClassVar[str] = "evaluated"

    base: str | CheckpointSource = Field(json_schema_extra=IS_PATH)
    """The model that the trainings began with: a Hugging Face folder, or a checkpoint of another
    job. It is evaluated once, beside them."""
    data: str = Field(json_schema_extra=IS_PATH)
    """Output folder of the engine ``polychromic_data``."""
    inputs: list[ResultSource] = Field(default_factory=list)
    """Output folders of the trainings; the planner fills them in."""
    checkpoint: Literal["best", "last", "best_unique_valid"] = "best"
    """Which one of each training: the lowest validation cross-entropy, the last, or the most
    different valid samples."""
    split: Literal["validation", "test"] = "test"
    """Whose prompts are answered."""
    prompts: int | None = Field(default=None, ge=1)
    """The first so many prompts; null: all."""
    samples: int = Field(default=10, ge=2)
    """Replies to each prompt. Every measure of a set depends on it."""
    temperature: float = Field(default=0.9, gt=0)
    """Of the samples."""
    top_p: float = Field(default=0.9, gt=0, le=1)
    """Share of the probability that tokens are drawn from, the likeliest first."""
    max_new_tokens: int = Field(default=100, ge=1)
    """Longest reply."""
    pass_at: list[Annotated[int, Field(ge=1)]] = Field(default=[1, 5, 10])
    """The k of pass@k; none above ``samples``."""
    embedder: str = "hashing"
    """``hashing``, which knows words and no meaning, or the folder of a sentence-embedding model
    on this machine."""
    judge: JudgeSettings | None = Field(default=None, json_schema_extra=DECIDES_NO_RESULT)
    """A language model that compares replies; null: none is asked. May change between a stop and
    its continuation, such as a raised budget: answers are kept by what was asked of whom."""
    seed: int = Field(default=0, ge=0)
    """Decides the samples; the same for all models, so that they are compared at equal luck."""
    probe_tolerance: float = Field(default=0.05, gt=0, json_schema_extra=DECIDES_NO_RESULT)
    """Largest difference of a checkpoint's probe log-probability (nats) in vLLM."""
    kv_cache_gb: int = Field(default=1, ge=1, json_schema_extra=DECIDES_NO_RESULT)
    """Size of vLLM's cache on the CPU."""
    gpus_per_model: int = Field(default=1, ge=1, json_schema_extra=DECIDES_NO_RESULT)
    """GPUs that share the model (tensor parallel)."""
    cpu_threads: int = Field(default=1, ge=1, le=256, json_schema_extra=DECIDES_NO_RESULT)
    """Threads on the CPU."""

    @model_validator(mode="after")
    def _fits(self) -> Config:
        above = [k for k in self.pass_at if k > self.samples]
        if above:
            raise ValueError(
                f"pass_at: {above[0]} is more than samples ({self.samples}); raise samples, or "
                "take it out"
            )
        if len(set(self.pass_at)) < len(self.pass_at):
            raise ValueError(f"pass_at: names one twice: {self.pass_at}")
        return self
