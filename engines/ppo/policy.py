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
from engines.ppo.losses import policy_loss
from engines.ppo.pcgrad import combine, conflict_metrics, gramian, task_weights
from engines.ppo.sampler import Group

ROWS = 2048
"""Response positions per chunk of logits: with a vocabulary of 152k one chunk is 1.2 GB in float32."""


TaskGradients = tuple[list[torch.Tensor], list[list[torch.Tensor]], dict[str, float]]
"""The whole gradient, each task's share of it, metrics."""


class Policy:
    """A causal language model with AdamW. Parameters are float32; on a GPU the forward pass runs under bfloat16 autocast."""

    def __init__(self, folder: Path, config: Config, device: torch.device) -> None:
        from transformers import AutoModelForCausalLM

        self.config = config
        self.device = device
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        self.model: Any = model.to(device).train()
        self.model.config.use_cache = False
        if device.type == "cuda":
            self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        dropped = [name for name, module in self.model.named_modules() if isinstance(module, torch.nn.Dropout) and module.p > 0]
        if dropped:
            raise ConfigError(f"{folder}: {dropped[0]} has dropout; trainer and sampler would compute different probabilities")
        self.parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
        self.skipped = 0

    def named_weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Weights under their Hugging Face names; tied ones once."""
        yield from self.model.named_parameters()

    def response_logprobs(self, batch: MicroBatch, temperature: float) -> torch.Tensor:
        """Log-probability of each response token at ``temperature``: (B, S), float32, garbage where the mask is False."""
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            hidden = self.model.base_model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
        rows = hidden[torch.arange(len(hidden), device=hidden.device)[:, None], batch.positions]
        flat, targets = rows.flatten(0, 1), batch.targets.flatten()
        pieces = [checkpoint(self._token_logprobs, flat[i:i + ROWS], targets[i:i + ROWS], temperature, use_reentrant=False)
                  for i in range(0, len(flat), ROWS)]
        return torch.cat(pieces).view_as(batch.targets)

    def _token_logprobs(self, hidden: torch.Tensor, targets: torch.Tensor, temperature: float) -> torch.Tensor:
        logits = self.model.get_output_embeddings()(hidden).float() / temperature
        return logits.gather(-1, targets[:, None])[:, 0] - logits.logsumexp(-1)

    def prompt_logprobs(self, token_ids: Sequence[int]) -> list[float]:
        """Log-probabilities at temperature 1 of ``token_ids[1:]``."""
        ids = torch.tensor([list(token_ids)], device=self.device)
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            hidden = self.model.base_model(input_ids=ids).last_hidden_state[0, :-1]
            values: list[float] = self._token_logprobs(hidden, ids[0, 1:], 1.0).tolist()
        return values

    def task_gradients(self, tasks: dict[str, list[Group]]) -> TaskGradients:
        """The gradient of the whole loss, each task's share of it, and metrics. The shares add up to the whole.

        Task after task, micro-batches of one task only; nothing is computed twice and no graph outlives its micro-batch.
        """
        batch_tokens = sum(count_tokens(groups) for groups in tasks.values())
        total = [torch.zeros_like(parameter) for parameter in self.parameters]
        snapshots, loss, difference = [], 0.0, 0.0
        for groups in tasks.values():
            self.optimizer.zero_grad(set_to_none=True)
            for batch in micro_batches(sequences_to_train(groups), self.config.micro_batch_tokens, 0):
                share, apart = self._backward(batch, batch_tokens)
                loss, difference = loss + share, max(difference, apart)
            snapshots.append(self._snapshot(total))
        return total, snapshots, {"loss": loss, "logprob_difference_max": difference}

    def _backward(self, batch: MicroBatch, batch_tokens: int) -> tuple[float, float]:
        batch = MicroBatch(*(value.to(self.device) for value in vars(batch).values()))
        logprobs = self.response_logprobs(batch, self.config.temperature)
        loss = policy_loss(logprobs, batch.sampler_logprobs, batch.advantages, batch.mask, batch_tokens=batch_tokens,
                           clip_low=self.config.clip_low, clip_high=self.config.clip_high, clip_c=self.config.clip_c,
                           importance_cap=self.config.truncated_importance_cap)
        loss.backward()
        apart = torch.where(batch.mask, (logprobs.detach() - batch.sampler_logprobs).abs(), 0.0)
        return loss.item(), apart.max().item()

    def _snapshot(self, total: list[torch.Tensor]) -> list[torch.Tensor]:
        """Add this task's gradient to ``total`` and keep a copy: float32 on the CPU, bfloat16 in host memory for a GPU."""
        kept = []
        for whole, parameter in zip(total, self.parameters, strict=True):
            gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
            whole.add_(gradient)
            kept.append(gradient.to("cpu", torch.bfloat16) if self.device.type == "cuda" else gradient)
            parameter.grad = None
        return kept

    def step(self, tasks: dict[str, list[Group]], step: int) -> dict[str, float]:
        """One optimizer step (``step`` counts from 0) on the rollouts of all tasks; returns its metrics.

        A gradient that is not finite is skipped and counted; RuntimeError after ``max_skipped_steps``.
        """
        total, snapshots, metrics = self.task_gradients(tasks)
        products = gramian(snapshots)
        finite = bool(torch.isfinite(products).all())
        if finite:
            generator = torch.Generator().manual_seed(sample_seed(self.config.seed, "pcgrad", step))
            weights = task_weights(self.config.mtl.method, products, generator)
            metrics |= conflict_metrics(list(tasks), products, weights)
            combine(total, snapshots, weights)
        for parameter, gradient in zip(self.parameters, total, strict=True):
            parameter.grad = gradient
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, self.config.gradient_clip))
        if finite and math.isfinite(norm):
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
