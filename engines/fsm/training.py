"""The training loop: nothing random in it hangs on more than seed, epoch and step."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import torch

from engines.contract.config import ConfigError
from engines.contract.program import Interrupted, Stop
from engines.contract.progress import Progress
from engines.contract.results import write_results
from engines.fsm.accuracy import judge
from engines.fsm.config import Config
from engines.fsm.results import facts, result_rows
from engines.fsm.resume import RANK_BY, find_start, label, publish
from engines.fsm.step import Epoch, Setting, Stepper
from engines.shared.automata.batches import Store
from engines.shared.automata.data import draw_order, fixed_order, load
from engines.shared.automata.models import Model
from engines.shared.training.cuda_graphs import own_stream, record
from engines.shared.training.resume import Point, save_state

MANY = 10
"""More models than this are stacked on a GPU: one cuDNN call costs about a tenth of a time loop of
single kernels."""


def prepare(config: Config, out: Path) -> Setting:
    """Data on the device and the model's code; ConfigError if a GPU is asked for and not there."""
    torch.set_num_threads(config.cpu_threads)
    there = torch.cuda.is_available()
    if config.device == "cuda" and not there:
        raise ConfigError("device: 'cuda', but torch finds no GPU here; take 'auto' or 'cpu'")
    device = torch.device("cuda" if there and config.device != "cpu" else "cpu")
    data = load(config.data_set, Path(config.cache) if config.cache else out / "data")
    # More models than this are stacked (measured: docs/performance.md). On a CPU torch has a fused
    # kernel for the LSTM, so that it is never stacked there, and none for the vanilla RNN.
    many = (
        MANY if device.type == "cuda" else 1 if config.model.kind == "rnn" else len(config.members)
    )
    stacked = config.backend == "stacked" or (
        config.backend == "auto" and len(config.members) > many
    )
    rates = torch.tensor([[member.learning_rate] for member in config.members], device=device)
    return Setting(
        config,
        data,
        Store(data.train, device),
        Store(data.validation, device),
        Model(config.model, stacked),
        rates,
        math.ceil(config.train_sequences / config.batch_size),
    )


def plan_epoch(setting: Setting, epoch: int) -> Epoch:
    """Each model's own order, from its seed and the epoch."""
    machines, count = setting.config.data_set.machines, len(setting.data.train)
    rows, orders = [], []
    for member in setting.config.members:
        # A continued run draws the order of a half-finished epoch anew, the same one. The 1 keeps
        # apart what else is drawn from seed and number, such as dropout's 2 in `Stepper.fill`.
        random = np.random.default_rng([member.seed, epoch, 1])
        rows.append(random.permutation(count))
        orders.append(draw_order(count, machines.states, machines.demonstrations, random))
    row, order = np.stack(rows), np.stack(orders)
    return Epoch(
        row,
        order,
        torch.from_numpy(row).to(setting.store.device),
        torch.from_numpy(order).to(setting.store.device),
    )


def validate(setting: Setting, point: Point) -> list[float]:
    """Each model's accuracy on the validation machines."""
    order = fixed_order(setting.data.validation, setting.config.data_set, "validation")
    right = judge(setting.model, point.flat.named(), setting.validation, order)
    return [float(np.nanmean(one)) for one in right]


def end_epoch(setting: Setting, point: Point, out: Path, progress: Progress, speed: float) -> None:
    """Validate, report, save checkpoints and state."""
    config, number = setting.config, point.step // setting.steps_per_epoch
    accuracies, losses = validate(setting, point), (point.losses / setting.steps_per_epoch).tolist()
    # Asked once an epoch: within a step nothing may wait for the device.
    finite = (point.flat.values.isfinite().all(dim=1) & point.losses.isfinite()).tolist()
    metrics: dict[str, float] = {}
    for member, accuracy, loss, fine in zip(
        config.members, accuracies, losses, finite, strict=True
    ):
        name = label(member, config)
        if not fine:
            # setdefault: the first epoch counts, in the epochs after it the model is still broken.
            point.diverged.setdefault(
                name, f"weights or loss not finite after epoch {number}: lower the learning rate"
            )
            continue
        suffix = f"/{name}" if len(config.members) > 1 else ""
        metrics |= {f"{RANK_BY}{suffix}": accuracy, f"loss{suffix}": loss}
    progress.write(
        point.step, config.epochs * setting.steps_per_epoch, {**metrics, "tokens_per_second": speed}
    )
    publish(config, out, point, number, accuracies)
    point.losses.zero_()
    save_state(config, out, point, number)


def train(config: Config, out: Path, stop: Stop) -> None:
    """Train to the end, or until asked to stop; then judge the best and the last checkpoint."""
    started = time.monotonic()
    setting = prepare(config, out)
    point = find_start(config, out, setting.store.device)
    progress = Progress(out, keep_until=point.step)
    graphed = setting.store.device.type == "cuda" and config.cuda_graphs == "auto"
    stepper = Stepper(setting, point, record if graphed else None)
    with own_stream(setting.store.device):
        while point.step < config.epochs * setting.steps_per_epoch:
            train_epoch(stepper, out, progress, stop)
    rows = result_rows(config, out, setting.data, setting.model, point)
    known = facts(config, setting.data, setting.model, point)
    known["cuda_graph"] = stepper.repeated.replay is not None
    write_results(out, "fsm", config, rows, time.monotonic() - started, known)


def train_epoch(stepper: Stepper, out: Path, progress: Progress, stop: Stop) -> None:
    """The rest of the epoch that ``stepper`` stands in, and what is due at its end; Interrupted if
    asked to stop."""
    setting, point, config = stepper.setting, stepper.point, stepper.setting.config
    number, first, began = point.step // setting.steps_per_epoch, point.step, time.monotonic()
    epoch, saved = plan_epoch(setting, number), point.step
    while point.step < (number + 1) * setting.steps_per_epoch:
        if stop.requested or point.step - saved >= config.save_state_every_steps:
            save_state(config, out, point, number)
            saved = point.step
        if stop.requested:
            raise Interrupted(
                f"at step {point.step} of {config.epochs * setting.steps_per_epoch}; "
                "start it again to continue"
            )
        stepper.take(epoch)
    tokens = len(config.members) * count_tokens(setting, epoch, first)
    if setting.store.device.type == "cuda":
        # Kernels are launched ahead of time; without this the speed would be that of launching.
        torch.cuda.synchronize()
    end_epoch(setting, point, out, progress, tokens / (time.monotonic() - began))


def count_tokens(setting: Setting, epoch: Epoch, first: int) -> float:
    """Tokens per model that this epoch trained on since step ``first``, padding not counted."""
    part = slice(first % setting.steps_per_epoch * setting.config.batch_size, None)
    lengths = np.take_along_axis(
        setting.store.host_lengths[epoch.rows[:, part]], epoch.order[:, part], axis=-1
    )
    return float(lengths.sum()) / len(setting.config.members)
