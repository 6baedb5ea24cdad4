"""Scores checkpoints on the tasks of a data folder, with one vLLM start for all of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engines.io import CheckpointsSource, EngineConfig


class Config(EngineConfig):
    """Config of ``python -m engines.evaluation``."""

    models: CheckpointsSource | str
    """Checkpoints of a job, or one Hugging Face folder."""
    data: str | dict[str, str]
    """A folder with ``<task>.test.parquet`` or benchmark files under their authors' names (see the how-to); or task -> file."""
    tasks: list[str] | None = None
    """Only these tasks; None is all."""
    samples_per_prompt: int = Field(1, ge=1)
    """Samples of each problem."""
    temperature: float = Field(0.0, ge=0)
    """0 is greedy."""
    max_prompt_tokens: int = Field(4096, ge=1)
    """Longer prompts are counted and not sent; never cut."""
    max_response_tokens: int = Field(4096, ge=1)
    """Token limit of a response."""
    seed: int = 0
    """Seed of the samples."""
    limit: int | None = Field(None, ge=1)
    """Only the first so many problems of each task."""
    scoring: Literal["strict", "guru"] = "strict"
    """``strict`` says what is right; ``guru`` gives the published GURU scorer's value, defects included."""
    scoring_seconds: float = Field(10.0, gt=0)
    """Time limit of scoring one sample; programs in the sandbox have their own."""
    scoring_workers: int = Field(1, ge=1)
    """Scoring processes at a time."""
    kv_cache_gb: int = Field(1, ge=1)
    """Size of vLLM's cache on the CPU."""
    probe_tolerance: float = Field(0.05, gt=0)
    """Largest difference of a probe log-probability (nats) after a swap."""
