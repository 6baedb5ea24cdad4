"""``evaluate_here``: samples of each checkpoint on the evaluation's problems, made at once by the
sampler that has the weights.

In: the config's key, and a way to generate. Out: ``evaluated/`` (engines/shared/suites/made.py),
which the evaluation of the checkpoints takes over, so that it starts no engine of its own. Called
by ``training.py`` before the ranks start and after each checkpoint.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from engines.contract.checkpoints import Checkpoint
from engines.contract.config import ConfigError
from engines.contract.program import Stop
from engines.ppo.config import Config
from engines.shared.inference import Generation, Request
from engines.shared.suites.config import TasksConfig
from engines.shared.suites.items import Facts, Item, read_items
from engines.shared.suites.made import MADE, Made, Sampled, read_made, request_for, write_made

AT_A_TIME = 1024
"""Samples between two looks for a request to stop."""

Generate = Callable[[list[Request]], list[list[Generation]]]


class EvaluateHere:
    """Makes the samples of checkpoint after checkpoint."""

    def __init__(
        self, out: Path, tasks: TasksConfig, items: Sequence[Item], facts: Facts, stop: Stop
    ) -> None:
        self.folder, self.tasks, self.items, self.facts = out / MADE, tasks, items, facts
        self.stop = stop
        self.sampler: dict[str, str] = {}
        """What the ranks say of the sampler and its versions, once they have started."""

    def make(self, checkpoint: Checkpoint, generate: Generate) -> None:
        """The samples of a checkpoint whose weights the sampler has; none after a request to stop:
        the evaluation makes those that are missing."""
        began = time.monotonic()
        wanted = [(item, number) for item in self.items for number in range(item.samples)]
        samples: list[Sampled] = []
        for alike in sampled_alike(wanted, self.tasks.seed):
            for start in range(0, len(alike), AT_A_TIME):
                if self.stop.requested:
                    return
                part = alike[start : start + AT_A_TIME]
                made = generate([request for _, _, request in part])
                samples += [
                    (item, number, own[0])
                    for (item, number, _), own in zip(part, made, strict=True)
                ]
        name, fingerprint = checkpoint.manifest.name, checkpoint.manifest.fingerprint
        write_made(self.folder, self.with_checkpoint(fingerprint, name), name, samples)
        seconds = time.monotonic() - began
        print(f"{name}: {len(samples)} samples for the evaluation, {seconds:.1f} s", flush=True)

    def with_checkpoint(self, fingerprint: str, name: str) -> Made:
        """What is to be said of the samples with those of one more checkpoint."""
        now = Made(
            seed=self.tasks.seed,
            versions={
                package: self.sampler[package]
                for package in ("torch", "transformers", "vllm")
                if package in self.sampler
            },
            sampler=self.sampler["sampler"],
            checkpoints={fingerprint: name},
            tasks=self.facts,
        )
        before = read_made(self.folder)
        # An earlier start may have sampled something else, or with other versions.
        if before is None or before.model_copy(update={"checkpoints": now.checkpoints}) != now:
            return now
        return now.model_copy(update={"checkpoints": before.checkpoints | now.checkpoints})


def evaluate_here(config: Config, out: Path, model: Path, stop: Stop) -> EvaluateHere | None:
    """What the config asks for, if it does. ConfigError if the sampler has no room for it."""
    tasks = config.evaluate_here
    if tasks is None:
        return None
    items, facts = read_items(tasks, model)
    for item in items:
        longest = item.settings.max_prompt_tokens + item.settings.max_response_tokens
        if longest > config.longest_sequence:
            raise ConfigError(
                f"evaluate_here: {item.task} asks for {longest} tokens of prompt and response, the "
                f"training has room for {config.longest_sequence}: raise max_response_tokens, or "
                "leave evaluate_here out"
            )
    return EvaluateHere(out, tasks, items, facts, stop)


def sampled_alike(
    wanted: Sequence[tuple[Item, int]], seed: int
) -> list[list[tuple[Item, int, Request]]]:
    """The requests of some samples, in groups of equal settings: a sampler draws one group at a
    time."""
    groups = defaultdict(list)
    for item, number in wanted:
        request = request_for(item, number, seed)
        settings = (request.temperature, request.top_p, request.max_tokens)
        groups[settings].append((item, number, request))
    return list(groups.values())
