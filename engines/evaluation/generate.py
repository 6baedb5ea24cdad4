"""Generation: one vLLM engine, guarded weight swaps, append-only files that a restart continues."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.checkpoints import Manifest, fingerprint
from engines.evaluation import Config
from engines.inference import Generation, Request, VllmSampler, sample_seed
from engines.io import ConfigError, Interrupted, Progress, Stop

if TYPE_CHECKING:
    from engines.data import Problem

CHUNK = 256
"""Samples between two looks at whether to stop."""


@dataclass(frozen=True)
class Model:
    """One model to evaluate; ``manifest`` is None for a plain Hugging Face folder."""

    name: str
    folder: Path
    manifest: Manifest | None


@dataclass(frozen=True)
class Item:
    """One problem with its prompt."""

    task: str
    problem: Problem
    token_ids: tuple[int, ...]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines of an append-only file; a torn last line is cut off, so that the next one starts clean."""
    if not path.exists():
        return []
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    if len(whole) < len(raw):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def check_weights(model: Model) -> None:
    """ConfigError unless the weight files are those of the manifest."""
    if model.manifest is not None and (found := fingerprint(model.folder)) != model.manifest.fingerprint:
        raise ConfigError(f"checkpoint '{model.name}': weights in {model.folder} have fingerprint {found[:12]}, its manifest says "
                          f"{model.manifest.fingerprint[:12]}; the files were changed or damaged, make it again")


def check_probe(sampler: VllmSampler, model: Model, tolerance: float) -> None:
    """ConfigError unless the loaded weights give the trainer's log-probabilities."""
    probe = model.manifest.probe if model.manifest else None
    if probe is None:
        return
    found, wanted = sampler.prompt_logprobs(probe["token_ids"]), probe["logprobs"]
    if len(found) != len(wanted):
        raise ConfigError(f"checkpoint '{model.name}': its probe has {len(wanted)} log-probabilities, {len(found)} were expected")
    worst = max(abs(a - b) for a, b in zip(found, wanted, strict=True))
    if not worst <= tolerance:
        raise ConfigError(f"checkpoint '{model.name}': after loading, a probe log-probability is off by {worst:.4f} nats (tolerance "
                          f"{tolerance}); the engine does not hold this checkpoint's weights")


def todo(config: Config, folder: Path, items: Sequence[Item]) -> list[tuple[Item, int]]:
    """The samples that are not on disk yet."""
    tasks = {item.task for item in items}
    done = {(task, line["item_id"], line["sample"]) for task in tasks for line in read_lines(folder / f"{task}.jsonl")}
    return [(item, sample) for item in items for sample in range(config.samples_per_prompt)
            if (item.task, item.problem.item_id, sample) not in done]


class Generator:
    """Generates what is missing; starts vLLM once, and only if something is."""

    def __init__(self, config: Config, out: Path, stop: Stop, progress: Progress) -> None:
        self.config, self.out, self.stop, self.progress = config, out, stop, progress
        self.sampler: VllmSampler | None = None

    def run(self, model: Model, items: Sequence[Item], done: int, total: int) -> None:
        """All samples of one model; Interrupted between chunks on a stop."""
        folder = self.out / "generations" / model.name
        folder.mkdir(parents=True, exist_ok=True)
        left = todo(self.config, folder, items)
        if not left:
            return
        check_weights(model)
        sampler = self._load(model)
        done += len(items) * self.config.samples_per_prompt - len(left)
        for start in range(0, len(left), CHUNK):
            if self.stop.requested:
                raise Interrupted(f"{done} of {total} samples are on disk")
            began, part = time.monotonic(), left[start:start + CHUNK]
            tokens = self._chunk(sampler, folder, part)
            done += len(part)
            self.progress.write(done, total, {"samples": done, "tokens_per_second": tokens / (time.monotonic() - began)}, "evaluate")

    def _load(self, model: Model) -> VllmSampler:
        if self.sampler is None:
            length = self.config.max_prompt_tokens + self.config.max_response_tokens
            self.sampler = VllmSampler(model.folder, seed=self.config.seed, max_model_len=length, kv_cache_gb=self.config.kv_cache_gb)
            self.stop.listen()
        else:
            self.sampler.load_checkpoint(model.folder)
        check_probe(self.sampler, model, self.config.probe_tolerance)
        return self.sampler

    def _chunk(self, sampler: VllmSampler, folder: Path, part: Sequence[tuple[Item, int]]) -> int:
        requests = [Request(item.token_ids, 1, sample_seed(self.config.seed, item.problem.item_id, sample), self.config.temperature,
                            self.config.max_response_tokens) for item, sample in part]
        tokens = 0

        def keep(index: int, _sample: int, generation: Generation) -> None:
            nonlocal tokens
            tokens += len(generation.token_ids)
            item, sample = part[index]
            line = {"item_id": item.problem.item_id, "sample": sample, "text": generation.text,
                    "tokens": len(generation.token_ids), "finish_reason": generation.finish_reason}
            with (folder / f"{item.task}.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")

        sampler.generate(requests, keep)
        return tokens
