"""A critic for generalized advantage estimation: what reward a response, as far as it goes, will
have in the end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from engines.ppo.config import Config, CriticSettings
from engines.ppo.update.batch import MicroBatch, Rollout, empty_batch, in_order, micro_batches
from engines.ppo.update.losses import gae, value_loss
from engines.ppo.update.sharding import World, cut, local
from engines.shared.language_model.packing import PackedModel

WHITENING_EPSILON = 1e-8


class ValueModel(PackedModel):
    """The body of a causal language model with one number per position; the number is 0 everywhere
    at first."""

    def __init__(self, model: Any) -> None:
        """``model`` is a transformers model without a head."""
        super().__init__(model)
        self.head = torch.nn.Linear(
            model.config.hidden_size, 1, device=next(model.parameters()).device
        )
        # With values of 0 the first advantages come from the rewards alone.
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)

    def forward(
        self, input_ids: torch.Tensor, lengths: Sequence[int], positions: torch.Tensor
    ) -> torch.Tensor:
        """Value at each of ``positions`` (R,) of ``input_ids`` (T,): (R,), float32."""
        values: torch.Tensor = self.head(self.hidden(input_ids, lengths, positions))
        # Cloned because FSDP2 puts a hook on what comes out, which must not be a view.
        return values[:, 0].float().clone()


class Critic:
    """A value model with AdamW of its own, trained on the returns of the same rollouts as the
    policy."""

    def __init__(self, model: Any, config: Config, world: World) -> None:
        """``model`` is the causal language model that training began with; only its body is
        used."""
        self.config, self.settings, self.world = config, config.critic or CriticSettings(), world
        model.config.use_cache = False
        self.model = ValueModel(model.base_model.train())
        if (
            world.device.type == "cuda"
            if config.gradient_checkpointing is None
            else config.gradient_checkpointing
        ):
            model.gradient_checkpointing_enable(
                gradient_checkpointing_kwargs={"use_reentrant": False}
            )
        if world.sharded:
            world.shard(self.model, self.model.layers, config.offload)
        self.shared = self.model.shares_prompts(world.device, config.longest_sequence)
        self.names = [name for name, _ in self.model.named_parameters()]
        self.parameters = [parameter for _, parameter in self.model.named_parameters()]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=self.settings.learning_rate, weight_decay=0.0
        )

    def values(self, batch: MicroBatch) -> torch.Tensor:
        """Value before each response token: (R,), float32."""
        device = self.world.device
        with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
            found: torch.Tensor = self.model(
                batch.input_ids.to(device), batch.lengths, batch.positions.to(device)
            )
        return found

    def judge(self, tasks: Mapping[str, Sequence[Rollout]]) -> dict[str, list[Rollout]]:
        """The rollouts of each task with returns, A + V, and advantages A.

        The advantages are whitened over all response tokens of the batch, in all processes.
        """
        estimates = {
            task: [
                (gae(row.reward, value, self.settings.gamma, self.settings.lam), value)
                for row, value in zip(rows, self._values_of(rows), strict=True)
            ]
            for task, rows in tasks.items()
        }
        mean, deviation = self._moments(
            [one for pairs in estimates.values() for found, _ in pairs for one in found.tolist()]
        )

        def filled(row: Rollout, found: torch.Tensor, value: torch.Tensor) -> Rollout:
            return replace(
                row,
                advantages=tuple(((found - mean) / (deviation + WHITENING_EPSILON)).tolist()),
                returns=tuple((found + value).tolist()),
            )

        return {
            task: [filled(row, *pair) for row, pair in zip(rows, estimates[task], strict=True)]
            for task, rows in tasks.items()
        }

    def _values_of(self, rows: Sequence[Rollout]) -> list[torch.Tensor]:
        """Values before each token of each rollout, float64 on the CPU, without gradient."""
        with torch.no_grad():
            parts = [self.values(batch).double().cpu() for batch in self._batches(rows)]
        # Passes that only keep step with the other processes come last; their values are cut off.
        # The empty tensor is for a process without rollouts: torch.cat refuses an empty list.
        sizes = [len(row.response) for row in rows]
        return (
            list(
                torch.cat([*parts, torch.zeros(0, dtype=torch.float64)])[: sum(sizes)].split(sizes)
            )
            if sizes
            else []
        )

    def _batches(self, rows: Sequence[Rollout]) -> list[MicroBatch]:
        """Micro-batches, as many in every process: the collectives inside a pass wait for each
        other."""
        batches = list(micro_batches(rows, self.config.micro_batch_tokens, self.shared))
        return batches + [empty_batch()] * (int(self.world.largest(len(batches))) - len(batches))

    def _moments(self, values: Sequence[float]) -> tuple[float, float]:
        """Mean and standard deviation over all processes."""
        sums = torch.tensor(
            [len(values), math.fsum(values), math.fsum(value * value for value in values)],
            dtype=torch.float64,
        )
        count, first, second = self.world.sum(sums).tolist()
        mean = first / max(count, 1.0)
        return mean, math.sqrt(max(second / max(count, 1.0) - mean * mean, 0.0))

    def step(self, tasks: Mapping[str, Sequence[Rollout]]) -> dict[str, float]:
        """One optimizer step towards the returns; metrics: loss, and share of the returns' variance
        that the values before it explain."""
        rows = in_order([row for own in tasks.values() for row in own], self.shared)
        _, deviation = self._moments([value for row in rows for value in row.returns])
        tokens = float(
            self.world.sum(
                torch.tensor(float(sum(len(row.response) for row in rows)), dtype=torch.float64)
            )
        )
        loss = torch.zeros((), dtype=torch.float64)
        for batch in self._batches(rows):
            part = value_loss(
                self.values(batch),
                batch.returns.to(self.world.device),
                batch.mask.to(self.world.device),
                tokens,
            )
            # FSDP takes the mean of the gradients over processes; the loss is a sum over them.
            (part * self.world.size).backward()
            loss += part.item()
        norm = self._clip()
        # The norm is one number over all processes, so all of them skip or none.
        if math.isfinite(norm):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        # The loss is half the mean squared error. Explained: 1 - error / variance of the returns.
        error = 2 * float(self.world.sum(loss))
        explained = {"critic/explained_variance": 1 - error / deviation**2} if deviation > 0 else {}
        return (
            {"critic/loss": error / 2, "critic/gradient_norm": norm, **explained}
            if math.isfinite(norm)
            else {}
        )

    def _clip(self) -> float:
        """Norm of the gradient over all processes; afterwards it is at most ``gradient_clip``."""
        gradients = [
            local(parameter.grad) for parameter in self.parameters if parameter.grad is not None
        ]
        squares = sum(
            (gradient.double().square().sum().cpu() for gradient in gradients),
            torch.zeros((), dtype=torch.float64),
        )
        norm = math.sqrt(self.world.sum(squares))
        for gradient in gradients:
            gradient.mul_(min(1.0, self.config.gradient_clip / (norm + 1e-6)))
        return norm

    def save(self, state: Path) -> None:
        """Write ``critic.pt``: whole tensors by name; every process must call it."""
        kept = {}
        for name, parameter in zip(self.names, self.parameters, strict=True):
            # AdamW's state: two moments of the parameter's shape, and the step, a scalar, which has
            # no shards to gather.
            values = {"weight": parameter, **self.optimizer.state[parameter]}
            kept[name] = {
                key: self.world.full(value).cpu() if value.dim() else value
                for key, value in values.items()
            }
        if self.world.index == 0:
            torch.save(kept, state / "critic.pt")

    def load(self, state: Path) -> None:
        """Continue from what ``save`` wrote; tensors only, no foreign pickle."""
        kept = torch.load(state / "critic.pt", map_location="cpu", weights_only=True)
        for name, parameter in zip(self.names, self.parameters, strict=True):
            values = dict(kept[name])
            with torch.no_grad():
                # What is left in `values` afterwards is the optimizer's state.
                local(parameter).copy_(local(cut(parameter, values.pop("weight"))))
            self.optimizer.state[parameter] = {
                key: cut(parameter, value) if value.dim() else value
                for key, value in values.items()
            }
