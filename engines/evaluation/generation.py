"""Generation: one vLLM engine for all tasks and checkpoints, never short of work.

In: chunks of samples to make, model after model. Out: the samples. Between two checkpoints the
engine keeps running and only its weights are swapped; files and a probe are checked, so that no
sample is made by another checkpoint than it is said to be. ``workers.py`` runs a ``Worker`` in this
process or one per group of GPUs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from engines.contract.config import ConfigError
from engines.evaluation.config import Config
from engines.evaluation.inputs import Inputs, Model
from engines.evaluation.sample_store import Sample
from engines.evaluation.work_queue import Chunk
from engines.shared.inference import SamplerSettings, VllmSampler
from engines.shared.loaded_weights import check_probe, check_weights
from engines.shared.model_shapes import fixed_positions

QUEUED_AHEAD = 1.125
"""Samples in vLLM, as a multiple of those that it works on at a time: some wait, so that it never
runs out of work between two steps."""
FIRST_CHUNK = 256
"""Samples that are taken before there is an engine to say how many it works on at a time."""
GPU_MEMORY_FRACTION = 0.9
"""Nothing else uses the GPU during an evaluation."""


class WorkSource(Protocol):
    """Where samples to make come from and go to: the coordinator itself, or a pipe to it."""

    def engine_started(self) -> None:
        """Hear that the engine has started."""

    def take(self, limit: int, model: int | None = None) -> Chunk:
        """Give samples to make."""

    def add(self, sample: Sample) -> None:
        """Take a sample that was made."""

    def stop_requested(self) -> bool:
        """Say whether to stop."""


def context_length(inputs: Inputs) -> int:
    """Tokens of the longest prompt and response together. ConfigError if the models have no
    positions for so many."""
    # One engine serves all tasks, so it has room for the longest of them.
    needed = max(
        item.settings.max_prompt_tokens + item.settings.max_response_tokens for item in inputs.items
    )
    for model in inputs.models:
        positions = fixed_positions(model.folder)
        if positions is not None and needed > positions:
            raise ConfigError(
                f"{model.folder} has positions for {positions} tokens, and "
                "max_prompt_tokens and max_response_tokens "
                f"together ask for {needed}: lower them in the config"
            )
    return needed


class Worker:
    """One engine: takes samples to make from ``source`` until there are none. vLLM is started with
    the first of them."""

    def __init__(
        self, config: Config, models: Sequence[Model], length: int, source: WorkSource
    ) -> None:
        self.config, self.models, self.length, self.source = config, models, length, source
        self.sampler: VllmSampler | None = None
        self.in_engine: dict[str, tuple[int, int]] = {}
        """vLLM's name of a request -> index of the problem and number of the sample."""

    def run(self) -> None:
        """Make samples model after model: an engine must be empty when its weights change."""
        while (chunk := self.source.take(self.capacity)).requests:
            # Reading all files takes long, so one worker does it for all.
            if chunk.first_of_model:
                model = self.models[chunk.model]
                check_weights(model.name, model.folder, model.manifest)
            sampler = self.load(self.models[chunk.model])
            if self.source.stop_requested():
                return  # asked while the engine started: nothing is begun
            self.send(sampler, chunk)
            self.generate(sampler, chunk.model)

    @property
    def capacity(self) -> int:
        """How many samples may be in the engine; few before it says how many it works on at a
        time."""
        if self.sampler is None:
            return FIRST_CHUNK
        return round(QUEUED_AHEAD * self.sampler.max_sequences)

    def load(self, model: Model) -> VllmSampler:
        """The engine with this model's weights."""
        if self.sampler is None:
            settings = SamplerSettings(
                seed=self.config.seed,
                max_model_len=self.length,
                kv_cache_gb=self.config.kv_cache_gb,
                gpu_memory_fraction=GPU_MEMORY_FRACTION,
                max_sequences=None,
                tensor_parallel=self.config.gpus_per_model,
                logprobs=False,
            )
            self.sampler = VllmSampler(model.folder, settings)
            self.source.engine_started()
        else:
            self.swap(self.sampler, model)
        check_probe(self.sampler, model.name, model.manifest, self.config.probe_tolerance)
        return self.sampler

    def swap(self, sampler: VllmSampler, model: Model) -> None:
        """Give the engine the weights of another checkpoint. RuntimeError names the checkpoint that
        it refuses."""
        try:
            sampler.load_checkpoint(model.folder)
        except ConfigError:
            raise
        # The engine is broken now, so nothing goes on; at least it is known by what.
        except Exception as error:
            raise RuntimeError(
                f"checkpoint '{model.name}': vLLM refused the weights in {model.folder} "
                f"({type(error).__name__}: {error}); leave that checkpoint out"
            ) from error

    def send(self, sampler: VllmSampler, chunk: Chunk) -> None:
        """Queue samples in the engine."""
        for item, number, request in chunk.requests:
            self.in_engine[sampler.add(request)] = (item, number)

    def generate(self, sampler: VllmSampler, model: int) -> None:
        """Finish what is in the engine, filling it up as long as this model has more. After a
        request to stop it has ``drain_seconds``."""
        has_more, deadline = True, None
        while self.in_engine:
            self.step(sampler, model)
            if self.source.stop_requested():
                has_more = False
                now = time.monotonic()
                # Set once, when the request is first seen.
                deadline = deadline or now + self.config.drain_seconds
                if now >= deadline:
                    sampler.give_up(list(self.in_engine))
                    self.in_engine.clear()
            # Filled up only when the reserve is used up: each request to a coordinator in another
            # process costs a round trip.
            if has_more and len(self.in_engine) <= sampler.max_sequences:
                chunk = self.source.take(self.capacity - len(self.in_engine), model)
                # No sample is ever put back, so "none" stays true for this model.
                has_more = bool(chunk.requests)
                self.send(sampler, chunk)

    def step(self, sampler: VllmSampler, model: int) -> None:
        """One step of the engine; the samples that ended with it are handed in."""
        for name, made in sampler.step():
            item, number = self.in_engine.pop(name)
            self.source.add(
                Sample(model, item, number, made.text, len(made.token_ids), made.finish_reason)
            )
