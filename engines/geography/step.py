"""One optimiser step of all models: packed batches on a CPU, one recorded shape on a GPU.

Nothing in a step waits for the device. On a GPU the batch is copied into buffers that stay where
they are; the loss is compiled and the step recorded as a CUDA graph, neither of which has been run
on one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from engines.geography.config import Config
from engines.geography.data import Data
from engines.shared.geography.description import Shape
from engines.shared.geography.network.attention import Layout
from engines.shared.geography.network.model import Parameters, packed_logits
from engines.shared.geography.network.packing import Array, Batch, packed, padded
from engines.shared.training.cuda_graphs import Record, RepeatedStep
from engines.shared.training.memory import keep_freed
from engines.shared.training.optimizer import Flat, Pace

TOKENS_AT_ONCE = 16_384
"""Tokens of all models that go through the network together on a CPU; bounds memory. Smaller parts
are slower: each has the common beginnings and the calls per run again."""


@dataclass(frozen=True)
class Setting:
    """What stays the same during a run."""

    config: Config
    data: Data
    device: torch.device
    precision: torch.dtype
    rates: torch.Tensor
    """Learning rates, (S, 1)."""
    steps_per_epoch: int
    steps: int


def token_losses(
    parameters: Parameters, shape: Shape, batch: tuple[torch.Tensor, torch.Tensor], layout: Layout
) -> tuple[torch.Tensor, torch.Tensor]:
    """Negative log-likelihood (S, M), nats, of the targets of a batch (its tokens and targets), and
    all log-probabilities (S, N, vocabulary)."""
    tokens, targets = batch
    logits = packed_logits(parameters, shape, tokens, layout)
    # In float32 whatever the products are in: the sum runs over the vocabulary.
    chances = logits.float().log_softmax(-1)
    return -chances.flatten(1).gather(1, targets), chances


def rate_factor(config: Config, step: int, steps: int) -> float:
    """What the learning rate is multiplied with at ``step`` (from 0) of ``steps``: transformers'
    linear schedule with warm-up, whose first step is 0."""
    if step < config.warmup_steps:
        return step / config.warmup_steps
    return (steps - step) / max(1, steps - config.warmup_steps)


class Stepper:
    """Takes steps; advances ``flat`` and ``losses``. With ``record``, whole batches by replaying
    one recorded step."""

    def __init__(
        self, setting: Setting, flat: Flat, losses: torch.Tensor, record: Record | None
    ) -> None:
        self.setting, self.flat, self.losses = setting, flat, losses
        if setting.device.type == "cpu":
            keep_freed()
        self.pace = Pace.of(len(setting.config.members), setting.device)
        self.repeated = RepeatedStep(record, "engines.geography")
        self.buffers: Batch | None = None
        self.token_losses = token_losses
        if record is not None and setting.device.type == "cuda":
            self.token_losses = torch.compile(token_losses, dynamic=False)

    def take(self, rows: Array, step: int) -> None:
        """One step of every model on its own ``rows`` (S, B); ``step`` from 0."""
        setting = self.setting
        config = setting.config
        self.pace.set(setting.rates, rate_factor(config, step, setting.steps), step + 1)
        if setting.device.type == "cpu" and self.repeated.record is None:
            most = max(1, TOKENS_AT_ONCE // len(rows))
            self.compute(packed(setting.data.train, rows, config.loss, most))
            return
        batch = padded(setting.data.train, rows, config.loss)
        # The smaller batch at an epoch's end has a shape of its own.
        if self.repeated.record is None or rows.shape[1] < config.batch_size:
            self.compute([batch.to(setting.device)])
        else:
            self.repeat(batch)

    def compute(self, batches: list[Batch]) -> None:
        """Forward and backward of the batches of one step, then the update."""
        values, config = self.flat.values, self.setting.config
        gradient: torch.Tensor | None = None
        for batch in batches:
            # Lower precision is a copy, through which the gradient comes back in float32.
            own = self.flat.named(values.to(self.setting.precision))
            losses, _ = self.token_losses(
                own, config.shape, (batch.tokens, batch.targets), batch.layout
            )
            of_models = (losses * batch.weights).sum(1)
            # The sum over models: no model's loss depends on another's parameters, so that row s is
            # the gradient of model s alone.
            (part,) = torch.autograd.grad(of_models.sum(), values)
            gradient = part if gradient is None else gradient.add_(part)
            self.losses += of_models.detach()
        assert gradient is not None
        self.flat.step(gradient, self.pace, config.gradient_clip, config.weight_decay)

    def repeat(self, batch: Batch) -> None:
        """A step of the one recorded shape."""
        if self.buffers is None:
            self.buffers = batch.to(self.setting.device)
        buffers = self.buffers
        buffers.tokens.copy_(batch.tokens)
        buffers.targets.copy_(batch.targets)
        buffers.weights.copy_(batch.weights)
        self.repeated.take(lambda: self.compute([buffers]))
