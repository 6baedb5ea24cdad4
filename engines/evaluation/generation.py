"""Generation: one vLLM engine for all tasks and checkpoints, fed without a break, with guarded
swaps of its weights."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Protocol

from engines.contract.checkpoints import fingerprint
from engines.contract.config import ConfigError
from engines.evaluation.config import Config
from engines.evaluation.sample_store import Desk, Model, Portion, Sample
from engines.shared.inference import VllmSampler

AHEAD = 1.125
"""Samples in vLLM, of those that it works on at a time: some wait, so that it never runs out of
work between two looks."""
FIRST = 256
"""Samples that are taken before there is an engine to say how many it works on at a time."""
GPU_MEMORY_FRACTION = 0.9
"""Nothing else uses the GPU during an evaluation."""


class Source(Protocol):
    """Where samples to make come from and go to: the desk itself, or a pipe to it."""

    def ready(self) -> None:
        """The engine has started."""

    def take(self, count: int, model: int | None = None) -> Portion:
        """Samples to make."""

    def give(self, sample: Sample) -> None:
        """One sample that was made."""

    def stopping(self) -> bool:
        """Whether to stop."""


def check_weights(model: Model) -> None:
    """ConfigError unless the weight files are those of the manifest."""
    if (
        model.manifest is not None
        and (found := fingerprint(model.folder)) != model.manifest.fingerprint
    ):
        raise ConfigError(
            f"checkpoint '{model.name}': weights in {model.folder} have fingerprint "
            f"{found[:12]}, its manifest says "
            f"{model.manifest.fingerprint[:12]}; the files were changed or damaged, make it again"
        )


def check_probe(sampler: VllmSampler, model: Model, tolerance: float) -> None:
    """ConfigError unless the loaded weights give the trainer's log-probabilities."""
    probe = model.manifest.probe if model.manifest else None
    if probe is None:
        return
    found, wanted = sampler.prompt_logprobs(probe["token_ids"]), probe["logprobs"]
    if len(found) != len(wanted):
        raise ConfigError(
            f"checkpoint '{model.name}': its probe has {len(wanted)} log-probabilities, "
            f"{len(found)} were expected"
        )
    worst = max(abs(a - b) for a, b in zip(found, wanted, strict=True))
    if not worst <= tolerance:
        raise ConfigError(
            f"checkpoint '{model.name}': after loading, a probe log-probability is off by "
            f"{worst:.4f} nats (tolerance "
            f"{tolerance}); the engine does not hold this checkpoint's weights"
        )


def context_length(desk: Desk) -> int:
    """Tokens of the longest prompt and response together. ConfigError if the models have no
    positions for so many."""
    needed = max(
        item.settings.max_prompt_tokens + item.settings.max_response_tokens for item in desk.items
    )
    for model in desk.models:
        config = (
            json.loads((model.folder / "config.json").read_text())
            if (model.folder / "config.json").is_file()
            else {}
        )
        positions = config.get("max_position_embeddings")
        scaled = (
            config.get("rope_scaling")
            or (config.get("rope_parameters") or {}).get("rope_type", "default") != "default"
        )
        if positions is not None and not scaled and needed > positions:
            raise ConfigError(
                f"{model.folder} has positions for {positions} tokens, and "
                "max_prompt_tokens and max_response_tokens "
                f"together ask for {needed}: lower them in the config"
            )
    return needed


class Worker:
    """One engine: takes samples to make from ``source`` until there are none; starts vLLM with the
    first of them."""

    def __init__(
        self, config: Config, models: Sequence[Model], length: int, source: Source
    ) -> None:
        self.config, self.models, self.length, self.source = config, models, length, source
        self.sampler: VllmSampler | None = None
        self.on_the_way: dict[str, tuple[int, int]] = {}

    def run(self) -> None:
        """Make samples model after model: an engine must be empty when its weights change."""
        while (portion := self.source.take(self.room)).requests:
            if portion.first:
                check_weights(self.models[portion.model])
            sampler = self.load(self.models[portion.model])
            if self.source.stopping():
                return  # asked while the engine started: nothing is begun
            self.send(sampler, portion)
            self.generate(sampler, portion.model)

    @property
    def room(self) -> int:
        """How many samples may be on the way; few before the engine says how many it works on at a
        time."""
        return FIRST if self.sampler is None else round(AHEAD * self.sampler.max_sequences)

    def load(self, model: Model) -> VllmSampler:
        """The engine with this model's weights."""
        if self.sampler is None:
            self.sampler = VllmSampler(
                model.folder,
                seed=self.config.seed,
                max_model_len=self.length,
                kv_cache_gb=self.config.kv_cache_gb,
                gpu_memory_fraction=GPU_MEMORY_FRACTION,
                max_sequences=None,
                tensor_parallel=self.config.gpus_per_model,
                logprobs=False,
            )
            self.source.ready()
        else:
            self.sampler.load_checkpoint(model.folder)
        check_probe(self.sampler, model, self.config.probe_tolerance)
        return self.sampler

    def send(self, sampler: VllmSampler, portion: Portion) -> None:
        """Queue samples in the engine."""
        for item, number, request in portion.requests:
            self.on_the_way[sampler.add(request)] = (item, number)

    def generate(self, sampler: VllmSampler, model: int) -> None:
        """Finish what is on the way, filling up as long as this model has more. After a signal it
        has ``drain_seconds``."""
        more, deadline = True, None
        while self.on_the_way:
            for name, made in sampler.step():
                item, number = self.on_the_way.pop(name)
                self.source.give(
                    Sample(model, item, number, made.text, len(made.token_ids), made.finish_reason)
                )
            if self.source.stopping():
                more, deadline = False, deadline or time.monotonic() + self.config.drain_seconds
                if time.monotonic() >= deadline:
                    sampler.give_up(list(self.on_the_way))
                    self.on_the_way.clear()
            if more and len(self.on_the_way) <= sampler.max_sequences:
                portion = self.source.take(self.room - len(self.on_the_way), model)
                more = bool(portion.requests)
                self.send(sampler, portion)
