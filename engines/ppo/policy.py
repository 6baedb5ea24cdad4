"""The model that is trained: log-probabilities of responses, gradients per task, one optimizer step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from engines.inference import sample_seed
from engines.io import ConfigError
from engines.ppo import Config
from engines.ppo.batch import MicroBatch, count_tokens, micro_batches, sequences_to_train
from engines.ppo.losses import divergence, masked_sum, policy_loss
from engines.ppo.pcgrad import combine, conflict_metrics, gramians, group_names, task_weights
from engines.ppo.sampler import Group

ROWS = 2048
"""Response positions per chunk of logits: with a vocabulary of 152k one chunk is 1.2 GB in float32."""


TaskGradients = tuple[list[torch.Tensor], list[list[torch.Tensor]], dict[str, float]]
"""The whole gradient, each task's share of it, metrics."""


def load_model(folder: Path, device: torch.device) -> Any:
    """The causal language model of a Hugging Face folder, float32."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).to(device)


class Policy:
    """A causal language model with AdamW. Parameters are float32; on a GPU the forward pass runs under bfloat16 autocast."""

    def __init__(self, model: Any, config: Config, device: torch.device, reference: Any = None) -> None:
        """``model`` and ``reference`` (kept as it is, for the divergence) are transformers models in float32 on ``device``."""
        self.config = config
        self.device = device
        self.model: Any = model.train()
        self.reference: Any = None if reference is None else reference.requires_grad_(False).eval()
        self.model.config.use_cache = False
        if device.type == "cuda":
            self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        dropped = [name for name, module in self.model.named_modules() if isinstance(module, torch.nn.Dropout) and module.p > 0]
        if dropped:
            raise ConfigError(f"model: {dropped[0]} has dropout; trainer and sampler would compute different probabilities")
        named = [(name, parameter) for name, parameter in self.model.named_parameters() if parameter.requires_grad]
        self.parameters = [parameter for _, parameter in named]
        self.groups = group_names([name for name, _ in named], config.mtl.group)
        self.optimizer = torch.optim.AdamW(self.parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
        self.skipped = 0

    def named_weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Weights under their Hugging Face names; tied ones once."""
        yield from self.model.named_parameters()

    def response_logprobs(self, batch: MicroBatch, temperature: float, model: Any = None) -> torch.Tensor:
        """Log-probability of each response token at ``temperature``: (B, S), float32, garbage where the mask is False.

        By the trained model, unless another one is given.
        """
        model = self.model if model is None else model
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            hidden = model.base_model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
        rows = hidden[torch.arange(len(hidden), device=hidden.device)[:, None], batch.positions]
        flat, targets = rows.flatten(0, 1), batch.targets.flatten()
        pieces = [checkpoint(token_logprobs, model, flat[i:i + ROWS], targets[i:i + ROWS], temperature, use_reentrant=False)
                  for i in range(0, len(flat), ROWS)]
        return torch.cat(pieces).view_as(batch.targets)

    def prompt_logprobs(self, token_ids: Sequence[int]) -> list[float]:
        """Log-probabilities at temperature 1 of ``token_ids[1:]``."""
        ids = torch.tensor([list(token_ids)], device=self.device)
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            hidden = self.model.base_model(input_ids=ids).last_hidden_state[0, :-1]
            values: list[float] = token_logprobs(self.model, hidden, ids[0, 1:], 1.0).tolist()
        return values

    def task_gradients(self, tasks: dict[str, list[Group]]) -> TaskGradients:
        """The gradient of the whole loss, each task's share of it, and metrics. The shares add up to the whole.

        Task after task, micro-batches of one task only; nothing is computed twice and no graph outlives its micro-batch. With
        ``mtl.method: off`` no share is kept.
        """
        config = self.config
        whole = sum(self._denominator(groups) for groups in tasks.values())
        total = [torch.zeros_like(parameter) for parameter in self.parameters]
        snapshots: list[list[torch.Tensor]] = []
        sums = {"loss": 0.0, "divergence": 0.0}
        differences = [0.0]
        for groups in tasks.values():
            self.optimizer.zero_grad(set_to_none=True)
            # equal: each task is the mean over its own tokens, and the loss the mean over tasks.
            denominator = self._denominator(groups) * len(tasks) if config.mtl.method == "equal" else whole
            rows = sequences_to_train(groups, config.estimator, keep_all=config.kl_coefficient > 0)
            for batch in micro_batches(rows, config.micro_batch_tokens, 0):
                found = self._backward(batch, denominator)
                sums = {key: value + found[key] for key, value in sums.items()}
                differences.append(found["logprob_difference_max"])
            kept = self._add_to(total)
            if config.mtl.method != "off":
                snapshots.append(kept)
        return total, snapshots, {"loss": sums["loss"], "logprob_difference_max": max(differences),
                                  **({"divergence": sums["divergence"]} if self.reference is not None else {})}

    def _denominator(self, groups: list[Group]) -> float:
        """What a sum over tokens is divided by: response tokens, for dr_grpo samples times the longest answer."""
        if self.config.estimator == "dr_grpo":
            return sum(len(group.samples) for group in groups) * self.config.max_response_tokens
        return count_tokens(groups)

    def _backward(self, batch: MicroBatch, denominator: float) -> dict[str, float]:
        config = self.config
        batch = MicroBatch(*(value.to(self.device) for value in vars(batch).values()))
        logprobs = self.response_logprobs(batch, config.temperature)
        reference = None
        if self.reference is not None:
            with torch.no_grad():
                reference = self.response_logprobs(batch, config.temperature, self.reference)
        loss = policy_loss(logprobs, batch.sampler_logprobs, batch.advantages, batch.mask, denominator=denominator,
                           clip_low=config.clip_low, clip_high=config.clip_high, clip_c=config.clip_c,
                           importance_cap=config.truncated_importance_cap, reference_logprobs=reference,
                           kl_coefficient=config.kl_coefficient)
        loss.backward()
        logprobs = logprobs.detach()
        apart = torch.where(batch.mask, (logprobs - batch.sampler_logprobs).abs(), 0.0)
        diverged = 0.0 if reference is None else float(masked_sum(divergence(logprobs, reference), batch.mask)) / denominator
        return {"loss": loss.item(), "logprob_difference_max": apart.max().item(), "divergence": diverged}

    def _add_to(self, total: list[torch.Tensor]) -> list[torch.Tensor]:
        """Add this task's gradient to ``total``; returns it: float32 on the CPU, bfloat16 in host memory for a GPU."""
        kept = []
        keep = self.config.mtl.method != "off"
        for whole, parameter in zip(total, self.parameters, strict=True):
            gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
            whole.add_(gradient)
            if keep:
                kept.append(gradient.to("cpu", torch.bfloat16) if self.device.type == "cuda" else gradient)
            parameter.grad = None
        return kept

    def resolve(self, tasks: list[str], total: list[torch.Tensor], snapshots: list[list[torch.Tensor]], step: int) -> dict[str, float]:
        """Turn the sum of the task gradients into what ``mtl.method`` makes of them, in place; returns metrics, none if not finite."""
        products = gramians(snapshots, self.groups)
        if not all(bool(torch.isfinite(product).all()) for product in products.values()):
            return {}
        weights = {}
        for place, (group, product) in enumerate(products.items()):
            generator = torch.Generator().manual_seed(sample_seed(self.config.seed, "pcgrad", step, place))
            weights[group] = task_weights(self.config.mtl.method, product, generator)
        combine(total, snapshots, [weights[group] for group in self.groups])
        return conflict_metrics(tasks, products, weights)

    def step(self, tasks: dict[str, list[Group]], step: int) -> dict[str, float]:
        """One optimizer step (``step`` counts from 0) on the rollouts of all tasks; returns its metrics.

        A gradient that is not finite is skipped and counted; RuntimeError after ``max_skipped_steps``.
        """
        total, snapshots, metrics = self.task_gradients(tasks)
        if snapshots:
            metrics |= self.resolve(list(tasks), total, snapshots, step)
        for parameter, gradient in zip(self.parameters, total, strict=True):
            parameter.grad = gradient
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, self.config.gradient_clip))
        if math.isfinite(norm):
            for group in self.optimizer.param_groups:
                group["lr"] = self.learning_rate(step)
            self.optimizer.step()
            metrics["gradient_norm_total"] = norm
        else:
            self._skip(step)
        self.optimizer.zero_grad(set_to_none=True)
        return metrics | {"learning_rate": self.learning_rate(step), "skipped_steps": float(self.skipped)}

    def _skip(self, step: int) -> None:
        self.skipped += 1
        if self.skipped > self.config.max_skipped_steps:
            raise RuntimeError(f"step {step + 1}: the gradient is not finite, {self.skipped} times so far (max_skipped_steps = "
                               f"{self.config.max_skipped_steps}); lower learning_rate, look at loss and gradient_norm")

    def learning_rate(self, step: int) -> float:
        """Linear warm-up from 0, then constant."""
        return self.config.learning_rate * min(1.0, (step + 1) / max(self.config.warmup_steps, 1))

    def save(self, model: Path, state: Path, tokenizer: Any) -> None:
        """Write the Hugging Face folder (float32) and what an exact continuation needs beside it."""
        self.model.save_pretrained(model)
        tokenizer.save_pretrained(model)
        state.mkdir(parents=True)
        torch.save({"optimizer": self.optimizer.state_dict(), "skipped": self.skipped}, state / "optimizer.pt")

    def load_state(self, state: Path) -> None:
        """Continue from ``state`` (the weights come from the model folder beside it); tensors only, no foreign pickle."""
        values = torch.load(state / "optimizer.pt", map_location=self.device, weights_only=True)
        self.optimizer.load_state_dict(values["optimizer"])
        self.skipped = values["skipped"]


def token_logprobs(model: Any, hidden: torch.Tensor, targets: torch.Tensor, temperature: float) -> torch.Tensor:
    """Log-probabilities in float32 of ``targets`` (N,) from the last hidden states (N, H)."""
    logits = model.get_output_embeddings()(hidden).float() / temperature
    return logits.gather(-1, targets[:, None])[:, 0] - logits.logsumexp(-1)
