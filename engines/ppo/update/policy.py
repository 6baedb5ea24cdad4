"""The model that is trained: log-probabilities of responses, gradients per task, one optimizer
step."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from engines.contract.config import ConfigError
from engines.ppo.config import Config
from engines.ppo.data.task_sampler import Group
from engines.ppo.update.batch import (
    MicroBatch,
    Rollout,
    count_tokens,
    empty_batch,
    micro_batches,
    sequences_to_train,
)
from engines.ppo.update.critic import Critic
from engines.ppo.update.load import prepare_model
from engines.ppo.update.losses import divergence, masked_sum, policy_loss
from engines.ppo.update.pcgrad import combine, conflict_metrics, gramians, group_names, task_weights
from engines.ppo.update.sharding import World, cut, like, local
from engines.shared.inference import sample_seed
from engines.shared.language_model.lora import adapt, adapters_off, merged_state
from engines.shared.language_model.packing import Scorer
from engines.shared.language_model.settings import LoraSettings

TaskGradients = tuple[list[torch.Tensor], list[list[torch.Tensor]], dict[str, float]]
"""The whole gradient, each task's share of it, metrics."""


class Policy:
    """A causal language model with AdamW. Parameters are float32; on a GPU the passes run in
    bfloat16."""

    def __init__(
        self,
        model: Any,
        config: Config,
        world: World,
        reference: Any = None,
        critic: Critic | None = None,
    ) -> None:
        """``model`` and ``reference`` (kept as it is, for the divergence) are transformers models,
        the same in all processes.

        With ``lora``, ``model`` is the one that training began with; it is its own reference, then.
        """
        assert (reference is not None) == (config.kl_coefficient > 0 and config.lora is None)
        assert (critic is not None) == (config.estimator == "gae")
        self.critic = critic
        self.config = config
        self.world = world
        self.device = world.device
        self.model = prepare_model(model, config, self.device)
        if config.lora is not None:
            adapt(self.model, LoraSettings(**config.lora.model_dump()), config.seed)
        self.scorer = Scorer(self.model)
        self.reference = None
        if reference is not None:
            self.reference = Scorer(reference.requires_grad_(False).eval())
        for scorer in (self.scorer, self.reference):
            if scorer is not None and world.sharded:
                world.shard(scorer, scorer.layers, config.offload)
        named = [one for one in self.model.named_parameters() if one[1].requires_grad]
        self.names = [name for name, _ in named]
        self.parameters = [parameter for _, parameter in named]
        self.groups = group_names(self.names, config.mtl.group)
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.shared = self.scorer.shares_prompts(self.device, config.longest_sequence)
        self.skipped = 0

    def named_weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Whole weights under their Hugging Face names, tied ones once, adapters merged; every
        process must take them all."""
        return self._whole_weights(torch.bfloat16 if self.device.type == "cuda" else torch.float32)

    def _whole_weights(self, dtype: torch.dtype) -> Iterator[tuple[str, torch.Tensor]]:
        # What is sent as it is, is cast before it travels; a sum is not rounded before it is one.
        whole = functools.partial(self.world.full, dtype=dtype)
        for name, weight in merged_state(self.model, whole, parts=self.world.full):
            yield name, weight.to(dtype)

    def logprobs(self, scorer: Scorer, batch: MicroBatch, temperature: float) -> torch.Tensor:
        """Log-probability of each response token at ``temperature``: (R,), float32, garbage where
        the mask is False."""
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            found: torch.Tensor = scorer(
                batch.input_ids, batch.lengths, batch.positions, batch.targets, temperature
            )
        return found

    def reference_logprobs(self, batch: MicroBatch) -> torch.Tensor | None:
        """``logprobs`` of the model that training began with, without gradient; None if the loss
        has no divergence from it."""
        if self.config.kl_coefficient == 0:
            return None
        with torch.no_grad(), contextlib.ExitStack() as stack:
            if self.reference is None:
                stack.enter_context(adapters_off(self.model))
            return self.logprobs(self.reference or self.scorer, batch, self.config.temperature)

    def prompt_logprobs(self, token_ids: Sequence[int]) -> list[float]:
        """Log-probabilities at temperature 1 of ``token_ids[1:]``."""
        ids = torch.tensor(list(token_ids), device=self.device)
        places = torch.arange(len(ids) - 1, device=self.device)
        with (
            torch.no_grad(),
            torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"),
        ):
            values: list[float] = self.scorer(ids, (len(ids),), places, ids[1:], 1.0).tolist()
        return values

    def rollouts(self, tasks: dict[str, list[Group]]) -> dict[str, list[Rollout]]:
        """What to train on, with the advantages of the estimator.

        ``tasks`` holds this process's groups; the order of tasks must be the same in all:
        RuntimeError if it is not, because gradients of different tasks would be added up.
        """
        # 48 bits of the hash, as `World.same` compares in float64.
        if not self.world.same(
            int.from_bytes(hashlib.sha256("|".join(tasks).encode()).digest()[:6])
        ):
            raise RuntimeError(
                f"the processes disagree about the order of tasks; this one has {', '.join(tasks)}"
            )
        keep_all = self.config.kl_coefficient > 0
        found = {
            task: sequences_to_train(groups, self.config.estimator, keep_all, self.shared)
            for task, groups in tasks.items()
        }
        return found if self.critic is None else self.critic.judge(found)

    def task_gradients(
        self, tasks: dict[str, list[Group]], rollouts: dict[str, list[Rollout]] | None = None
    ) -> TaskGradients:
        """The gradient of the whole loss, each task's share of it (this process's shards), and
        metrics. The shares add up to the whole.

        Task after task, micro-batches of one task only; nothing is computed twice and no graph
        outlives its micro-batch. With ``mtl.method: off`` no share is kept. ``rollouts`` are those
        of ``tasks``, if they are known already.
        """
        config, world = self.config, self.world
        # Denominators of the whole batch, over all processes: dividing each micro-batch by its own
        # tokens would make the loss depend on how it is cut.
        sizes = world.sum(
            torch.tensor(
                [self._denominator(groups) for groups in tasks.values()], dtype=torch.float64
            )
        ).tolist()
        total = [torch.zeros_like(local(parameter)) for parameter in self.parameters]
        snapshots: list[list[torch.Tensor]] = []
        sums, differences = torch.zeros(5, dtype=torch.float64), [0.0]
        for rows, size in zip((rollouts or self.rollouts(tasks)).values(), sizes, strict=True):
            self.optimizer.zero_grad(set_to_none=True)
            # equal: each task is the mean over its own tokens, and the loss the mean over tasks.
            denominator = size * len(tasks) if config.mtl.method == "equal" else sum(sizes)
            batches = list(micro_batches(rows, config.micro_batch_tokens, self.shared))
            # Every process must run as many passes as the one with the most, or the collectives
            # inside them wait for ever.
            batches += [empty_batch()] * (int(world.largest(len(batches))) - len(batches))
            for batch in batches:
                part, apart = self._backward(batch, denominator)
                sums += part
                differences.append(apart)
            kept = self._add_to(total)
            if config.mtl.method != "off":
                snapshots.append(kept)
        return total, snapshots, self._loss_metrics(sums, max(differences))

    def _loss_metrics(self, sums: torch.Tensor, largest_difference: float) -> dict[str, float]:
        """Metrics of all processes from this one's sums over tokens (see ``_backward``)."""
        world = self.world
        loss, diverged, gap, chances, tokens = world.sum(sums).tolist()
        metrics = {
            "loss": loss,
            "logprob_difference_max": world.largest(largest_difference),
            "logprob_difference_mean": gap / max(tokens, 1.0),
            "probability_difference_mean": chances / max(tokens, 1.0),
        }
        if self.config.kl_coefficient > 0:
            metrics["divergence"] = diverged
        return metrics

    def _denominator(self, groups: list[Group]) -> float:
        """What a sum over tokens is divided by: response tokens, for dr_grpo samples times the
        longest answer."""
        if self.config.estimator == "dr_grpo":
            return sum(len(group.samples) for group in groups) * self.config.max_response_tokens
        return count_tokens(groups)

    def _backward(self, batch: MicroBatch, denominator: float) -> tuple[torch.Tensor, float]:
        """Sums over this micro-batch and the largest difference of a log-probability between
        trainer and sampler.

        The sums: its shares of loss and divergence, differences of log-probability and of
        probability between the two, tokens.
        """
        config = self.config
        batch = batch.to(self.device)
        reference = self.reference_logprobs(batch)
        logprobs = self.logprobs(self.scorer, batch, config.temperature)
        loss = policy_loss(
            logprobs,
            batch.sampler_logprobs,
            batch.advantages,
            batch.mask,
            denominator=denominator,
            clip_low=config.clip_low,
            clip_high=config.clip_high,
            clip_c=config.clip_c,
            importance_cap=config.truncated_importance_cap,
            reference_logprobs=reference,
            kl_coefficient=config.kl_coefficient,
        )
        (loss * self.world.size).backward()  # FSDP takes the mean over processes, the loss is a sum
        logprobs = logprobs.detach()
        apart = torch.where(batch.mask, (logprobs - batch.sampler_logprobs).abs(), 0.0)
        chances = (logprobs.exp() - batch.sampler_logprobs.exp()).abs()
        diverged = (
            0.0
            if reference is None
            else float(masked_sum(divergence(logprobs, reference), batch.mask)) / denominator
        )
        part = [
            loss.item(),
            diverged,
            apart.sum().item(),
            masked_sum(chances, batch.mask).item(),
            batch.mask.sum().item(),
        ]
        return torch.tensor(part, dtype=torch.float64), apart.max().item()

    def _add_to(self, total: list[torch.Tensor]) -> list[torch.Tensor]:
        """Add this task's gradient to ``total``; returns it: float32 on the CPU, bfloat16 in host
        memory for a GPU."""
        kept = []
        keep = self.config.mtl.method != "off"
        for whole, parameter in zip(total, self.parameters, strict=True):
            gradient = (
                local(parameter.grad) if parameter.grad is not None else torch.zeros_like(whole)
            )
            whole.add_(gradient)
            if keep:
                # On the CPU the gradient itself is kept, not a copy: the parameter gives it up
                # below, and the next task's backward pass makes a new one.
                kept.append(
                    gradient.to("cpu", torch.bfloat16) if self.device.type == "cuda" else gradient
                )
            parameter.grad = None
        return kept

    def resolve(
        self,
        tasks: list[str],
        total: list[torch.Tensor],
        snapshots: list[list[torch.Tensor]],
        step: int,
    ) -> dict[str, float]:
        """Turn the sum of the task gradients into what ``mtl.method`` makes of them, in place;
        returns metrics, none if not finite."""
        products = {
            group: self.world.sum(product)
            for group, product in gramians(snapshots, self.groups).items()
        }
        if not all(bool(torch.isfinite(product).all()) for product in products.values()):
            return {}
        weights = {}
        for place, (group, product) in enumerate(products.items()):
            # Seeded by step and group, so that all processes draw the same orders: with different
            # ones they would project differently, and their shards would no longer be of one model.
            generator = torch.Generator().manual_seed(
                sample_seed(self.config.seed, "pcgrad", step, place)
            )
            weights[group] = task_weights(self.config.mtl.method, product, generator)
        combine(total, snapshots, [weights[group] for group in self.groups])
        return conflict_metrics(tasks, products, weights)

    def step(self, tasks: dict[str, list[Group]], step: int) -> dict[str, float]:
        """One optimizer step (``step`` counts from 0) on the rollouts of all tasks; returns its
        metrics.

        A gradient that is not finite is skipped and counted; RuntimeError after
        ``max_skipped_steps``.
        """
        rollouts = self.rollouts(tasks)
        total, snapshots, metrics = self.task_gradients(tasks, rollouts)
        if snapshots:
            metrics |= self.resolve(list(tasks), total, snapshots, step)
        # Each process has its own shards: squares are summed, first here and then over processes.
        squares = sum(
            (gradient.double().square().sum().cpu() for gradient in total),
            torch.zeros((), dtype=torch.float64),
        )
        norm = math.sqrt(self.world.sum(squares))
        for parameter, gradient in zip(self.parameters, total, strict=True):
            parameter.grad = like(
                parameter, gradient.mul_(min(1.0, self.config.gradient_clip / (norm + 1e-6)))
            )
        if math.isfinite(norm):
            for group in self.optimizer.param_groups:
                group["lr"] = self.learning_rate(step)
            self.optimizer.step()
            metrics["gradient_norm_total"] = norm
        else:
            self._skip(step)
        self.optimizer.zero_grad(set_to_none=True)
        if self.critic is not None:
            # The advantages above came from the critic as it was before this step.
            metrics |= self.critic.step(rollouts)
        return metrics | {
            "learning_rate": self.learning_rate(step),
            "skipped_steps": float(self.skipped),
        }

    def _skip(self, step: int) -> None:
        self.skipped += 1
        if self.skipped > self.config.max_skipped_steps:
            raise RuntimeError(
                f"step {step + 1}: the gradient is not finite, {self.skipped} times so "
                "far (max_skipped_steps = "
                f"{self.config.max_skipped_steps}); lower learning_rate, look at loss and "
                "gradient_norm"
            )

    def learning_rate(self, step: int) -> float:
        """Linear warm-up from 0, then constant."""
        return self.config.learning_rate * min(1.0, (step + 1) / max(self.config.warmup_steps, 1))

    def save(self, model: Path, state: Path, tokenizer: Any) -> None:
        """Write the Hugging Face folder (float32) and what an exact continuation needs beside it;
        every process must call it.

        The state holds whole tensors by name, so that it continues on any number of processes.
        """
        first = self.world.index == 0
        # Gathering needs every process; only the first keeps what was gathered, and writes.
        weights, moments, adapters = {}, {}, {}
        for name, whole in self._whole_weights(torch.float32):
            if first:
                weights[name] = whole.cpu()
        for name, parameter in zip(self.names, self.parameters, strict=True):
            values = {
                key: self.world.full(value) if value.dim() else value
                for key, value in self.optimizer.state[parameter].items()
            }
            if first:
                moments[name] = {key: value.cpu() for key, value in values.items()}
            if self.config.lora is not None:
                adapters[name] = self.world.full(parameter).cpu()
        if first:
            self.model.save_pretrained(model, state_dict=weights)
            tokenizer.save_pretrained(model)
            state.mkdir(parents=True)
            torch.save(
                {"optimizer": moments, "adapters": adapters, "skipped": self.skipped},
                state / "optimizer.pt",
            )
        if self.critic is not None:
            self.critic.save(state)

    def load_state(self, state: Path) -> None:
        """Continue from ``state``; tensors only, no foreign pickle. The weights lie in the model
        folder beside it, adapters here."""
        values = torch.load(state / "optimizer.pt", map_location="cpu", weights_only=True)
        if values["optimizer"].keys() != set(self.names):
            raise ConfigError(
                f"{state}: holds other parameters than this version trains; go on with the version "
                "that wrote it, or give a new --out folder"
            )
        for name, parameter in zip(self.names, self.parameters, strict=True):
            self.optimizer.state[parameter] = {
                key: cut(parameter, value) if value.dim() else value
                for key, value in values["optimizer"][name].items()
            }
            if self.config.lora is not None:
                with torch.no_grad():
                    local(parameter).copy_(local(cut(parameter, values["adapters"][name])))
        self.skipped = values["skipped"]
        if self.critic is not None:
            self.critic.load(state)
