"""The training loop: nothing in it waits for the device, and nothing random in it hangs on more than seed, epoch and step."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from engines.automata.batches import Batch, Store
from engines.automata.data import Array, Data, draw_order, fixed_order, load
from engines.automata.models import Model, dropout_masks
from engines.fsm import Config
from engines.fsm.continuation import RANK_BY, Point, find_start, label, publish, save_state
from engines.fsm.judge import judge
from engines.fsm.results import write
from engines.io import ConfigError, Interrupted, Progress, Stop

MANY = 10
"""More models than this are stacked on a GPU: one cuDNN call costs about a tenth of a time loop of single kernels."""


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


def prepare(config: Config, out: Path) -> Setting:
    """Data on the device and the model's code; ConfigError if a GPU is asked for and not there."""
    torch.set_num_threads(config.cpu_threads)
    there = torch.cuda.is_available()
    if config.device == "cuda" and not there:
        raise ConfigError("device: 'cuda', but torch finds no GPU here; take 'auto' or 'cpu'")
    device = torch.device("cuda" if there and config.device != "cpu" else "cpu")
    data = load(config.data_set, Path(config.cache) if config.cache else out / "data")
    many = MANY if device.type == "cuda" else 1 if config.model.kind == "rnn" else len(config.members)  # measured: docs/performance.md
    stacked = config.backend == "stacked" or (config.backend == "auto" and len(config.members) > many)
    rates = torch.tensor([[member.learning_rate] for member in config.members], device=device)
    return Setting(config, data, Store(data.train, device), Store(data.validation, device), Model(config.model, stacked), rates,
                   math.ceil(config.train_sequences / config.batch_size))


@dataclass(frozen=True)
class Epoch:
    """The order of one epoch, on the host and on the device: sequences (S, N) and segments (S, N, demonstrations + 1)."""

    rows: Array
    order: Array
    device_rows: torch.Tensor
    device_order: torch.Tensor


def plan_epoch(setting: Setting, epoch: int) -> Epoch:
    """Each model's own order, from its seed and the epoch."""
    machines, count = setting.config.data_set.machines, len(setting.data.train)
    rows, orders = [], []
    for member in setting.config.members:
        random = np.random.default_rng([member.seed, epoch, 1])
        rows.append(random.permutation(count))
        orders.append(draw_order(count, machines.states, machines.demonstrations, random))
    row, order = np.stack(rows), np.stack(orders)
    return Epoch(row, order, torch.from_numpy(row).to(setting.store.device), torch.from_numpy(order).to(setting.store.device))


def losses_of(logits: torch.Tensor, batch: Batch, which: str) -> torch.Tensor:
    """Mean negative log-likelihood of each model's scored next states, nats: (S,)."""
    scored = batch.query if which == "query" else batch.scored
    targets = torch.where(scored, batch.targets, 0)
    each = F.cross_entropy(logits.flatten(0, 2), targets.flatten(), reduction="none").view_as(targets)
    return (each * scored).sum((1, 2)) / scored.sum((1, 2))


def rate_factor(config: Config, step: int, steps: int) -> float:
    """What the learning rate is multiplied with at ``step`` (from 0) of ``steps``."""
    warm = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    return warm * (1 - step / steps if config.decay == "linear" else 1.0)


def take_step(setting: Setting, point: Point, epoch: Epoch) -> None:
    """One optimiser step of every model. No value leaves the device."""
    config = setting.config
    start = point.step % setting.steps_per_epoch * config.batch_size
    part = slice(start, start + config.batch_size)
    longest = setting.store.longest(epoch.rows[:, part], epoch.order[:, part])
    batch = setting.store.batch(epoch.device_rows[:, part], epoch.device_order[:, part], longest)
    masks = None
    if config.dropout:
        seeds = [int(np.random.SeedSequence([member.seed, point.step, 2]).generate_state(1)[0]) for member in config.members]
        masks = dropout_masks(config.model, seeds, batch.inputs.shape[1], config.data_set.machines.longest, config.dropout,
                              setting.store.device)
    losses = losses_of(setting.model.logits(point.flat.named(), batch.inputs, masks), batch, config.loss)
    (gradient,) = torch.autograd.grad(losses.sum(), point.flat.values)
    factor = rate_factor(config, point.step, config.epochs * setting.steps_per_epoch)
    point.flat.step(gradient, point.step + 1, setting.rates * factor, config.gradient_clip, config.weight_decay)
    point.losses += losses.detach()
    point.step += 1


def validate(setting: Setting, point: Point) -> list[float]:
    """Each model's accuracy on the validation machines."""
    order = fixed_order(setting.data.validation, setting.config.data_set, "validation")
    right = judge(setting.model, point.flat.named(), setting.validation, order)
    return [float(np.nanmean(one)) for one in right]


def end_epoch(setting: Setting, point: Point, out: Path, progress: Progress, speed: float) -> None:
    """Validate, report, save checkpoints and state."""
    config, number = setting.config, point.step // setting.steps_per_epoch
    accuracies, losses = validate(setting, point), (point.losses / setting.steps_per_epoch).tolist()
    finite = (point.flat.values.isfinite().all(dim=1) & point.losses.isfinite()).tolist()
    metrics: dict[str, float] = {}
    for member, accuracy, loss, fine in zip(config.members, accuracies, losses, finite, strict=True):
        name = label(member, config)
        if not fine:
            point.diverged.setdefault(name, f"weights or loss not finite after epoch {number}: lower the learning rate")
            continue
        suffix = f"/{name}" if len(config.members) > 1 else ""
        metrics |= {f"{RANK_BY}{suffix}": accuracy, f"loss{suffix}": loss}
    progress.write(point.step, config.epochs * setting.steps_per_epoch, {**metrics, "tokens_per_second": speed})
    publish(config, out, point, number, accuracies)
    point.losses.zero_()
    save_state(config, out, point, number)


def train(config: Config, out: Path, stop: Stop) -> None:
    """Train to the end, or until asked to stop; then judge the best and the last checkpoint."""
    started = time.monotonic()
    setting = prepare(config, out)
    point = find_start(config, out, setting.store.device)
    progress = Progress(out, keep_until=point.step)
    steps = config.epochs * setting.steps_per_epoch
    saved = point.step
    while point.step < steps:
        number = point.step // setting.steps_per_epoch
        epoch, first, began = plan_epoch(setting, number), point.step, time.monotonic()
        while point.step < (number + 1) * setting.steps_per_epoch:
            if stop.requested or point.step - saved >= config.save_state_every_steps:
                save_state(config, out, point, number)
                saved = point.step
            if stop.requested:
                raise Interrupted(f"at step {point.step} of {steps}; start it again to continue")
            take_step(setting, point, epoch)
        tokens = len(config.members) * count_tokens(setting, epoch, first)
        if setting.store.device.type == "cuda":
            torch.cuda.synchronize()
        end_epoch(setting, point, out, progress, tokens / (time.monotonic() - began))
        saved = point.step
    write(config, out, setting.data, setting.model, point, time.monotonic() - started)


def count_tokens(setting: Setting, epoch: Epoch, first: int) -> float:
    """Tokens per model that this epoch trained on since step ``first``, padding not counted."""
    part = slice(first % setting.steps_per_epoch * setting.config.batch_size, None)
    lengths = np.take_along_axis(setting.store.host_lengths[epoch.rows[:, part]], epoch.order[:, part], axis=-1)
    return float(lengths.sum()) / len(setting.config.members)
