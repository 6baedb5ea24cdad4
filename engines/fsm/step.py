"""One optimiser step of all models over buffers that stay where they are, so that a GPU can record
it once and replay it.

A step of such a small model is hundreds to tens of thousands of tiny kernels, and launching them
takes longer than running them. Nothing in a step waits for the device. A recorded step has one
shape: whole batches padded to the longest sequence that the machines allow; the smaller batch at an
epoch's end is never recorded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from engines.fsm.config import Config
from engines.shared.automata.batches import Batch, Store
from engines.shared.automata.data import Array, Data
from engines.shared.automata.models import Model, dropout_masks
from engines.shared.training.cuda_graphs import Record, RepeatedStep
from engines.shared.training.optimizer import Pace
from engines.shared.training.resume import Point


@dataclass(frozen=True)
class Setting:
    """What stays the same during a run."""

    config: Config
    data: Data
    store: Store
    validation: Store
    model: Model
    rates: torch.Tensor
    """Learning rates, (S, 1)."""
    steps_per_epoch: int


@dataclass(frozen=True)
class Epoch:
    """The order of one epoch, on the host and on the device: sequences (S, N) and segments (S, N,
    demonstrations + 1)."""

    rows: Array
    order: Array
    device_rows: torch.Tensor
    device_order: torch.Tensor


def losses_of(logits: torch.Tensor, batch: Batch, which: str) -> torch.Tensor:
    """Mean negative log-likelihood of each model's scored next states, nats: (S,)."""
    scored = batch.query if which == "query" else batch.scored
    # Tokens that are not scored may be no state (an action, padding), which cross_entropy refuses;
    # 0 is any state, and the product below takes its loss out.
    targets = batch.targets.masked_fill(~scored, 0)
    each = F.cross_entropy(logits.flatten(0, 2), targets.flatten(), reduction="none").view_as(
        targets
    )
    # Per model: the sum over its sequences and tokens.
    return (each * scored).sum((1, 2)) / scored.sum((1, 2))


def rate_factor(config: Config, step: int, steps: int) -> float:
    """What the learning rate is multiplied with at ``step`` (from 0) of ``steps``."""
    warm = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    return warm * (1 - step / steps if config.decay == "linear" else 1.0)


class Stepper:
    """Takes steps; with ``record``, whole batches by replaying one recorded step."""

    def __init__(self, setting: Setting, point: Point, record: Record | None) -> None:
        config, device, models = setting.config, setting.store.device, len(setting.config.members)
        machines, size = config.data_set.machines, config.batch_size
        self.setting, self.point = setting, point
        self.repeated = RepeatedStep(record, "engines.fsm")
        self.longest = machines.longest
        self.pace = Pace.of(models, device)
        self.rows = torch.zeros(models, size, dtype=torch.int64, device=device)
        self.order = torch.zeros(
            models, size, machines.demonstrations + 1, dtype=torch.int64, device=device
        )
        self.masks: torch.Tensor | None = None
        # A replay reads the addresses that were recorded, so the masks need a buffer that stays.
        if record is not None and config.dropout:
            self.masks = torch.zeros(
                config.model.layers + 1,
                models,
                size,
                self.longest,
                config.model.width,
                device=device,
            )

    def take(self, epoch: Epoch) -> None:
        """One step of every model; advances ``point``."""
        setting, start = (
            self.setting,
            self.point.step % self.setting.steps_per_epoch * self.setting.config.batch_size,
        )
        part = slice(start, start + setting.config.batch_size)
        size = self.fill(epoch, part)
        # Without a recording a batch is padded to the longest of its own sequences only.
        if self.repeated.record is None or size < setting.config.batch_size:
            self.compute(size, setting.store.longest(epoch.rows[:, part], epoch.order[:, part]))
        else:
            self.repeated.take(lambda: self.compute(setting.config.batch_size, self.longest))
        self.point.step += 1

    def fill(self, epoch: Epoch, part: slice) -> int:
        """Write into the buffers what differs from step to step; the number of sequences of this
        batch."""
        config, step = self.setting.config, self.point.step
        rows = epoch.device_rows[:, part]
        size = int(rows.shape[1])
        self.rows[:, :size].copy_(rows)
        self.order[:, :size].copy_(epoch.device_order[:, part])
        self.pace.set(
            self.setting.rates,
            rate_factor(config, step, config.epochs * self.setting.steps_per_epoch),
            step + 1,
        )
        if (
            config.dropout
        ):  # drawn outside of the recording, so that replays drop what plain steps drop
            seeds = [
                int(np.random.SeedSequence([member.seed, step, 2]).generate_state(1)[0])
                for member in config.members
            ]
            drawn = dropout_masks(
                config.model, seeds, size, self.longest, config.dropout, self.setting.store.device
            )
            if self.repeated.record is None or self.masks is None:
                self.masks = drawn
            else:
                self.masks[:, :, :size].copy_(drawn)
        return size

    def compute(self, size: int, longest: int) -> None:
        """Forward, backward and update with the first ``size`` sequences of the buffers, padded to
        ``longest`` tokens."""
        setting, point = self.setting, self.point
        batch = setting.store.batch(self.rows[:, :size], self.order[:, :size], longest)
        masks = None if self.masks is None else self.masks[:, :, :size]
        losses = losses_of(
            setting.model.logits(point.flat.named(), batch.inputs, masks),
            batch,
            setting.config.loss,
        )
        # The sum over models: no model's loss depends on another's parameters, so that row s is the
        # gradient of model s alone.
        (gradient,) = torch.autograd.grad(losses.sum(), point.flat.values)
        point.flat.step(
            gradient, self.pace, setting.config.gradient_clip, setting.config.weight_decay
        )
        point.losses += losses.detach()
