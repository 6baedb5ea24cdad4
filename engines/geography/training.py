"""The training loop: nothing random in it hangs on more than seed, epoch and step."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

from engines.contract.config import ConfigError
from engines.contract.program import Interrupted, Stop
from engines.contract.progress import Progress
from engines.contract.results import write_results
from engines.geography.config import Config
from engines.geography.data import load
from engines.geography.results import facts, result_rows
from engines.geography.resume import RANK_BY, find_start, label, publish
from engines.geography.step import Setting, Stepper
from engines.geography.validation import judge
from engines.shared.geography.network.packing import Array, order_of
from engines.shared.training.cuda_graphs import own_stream, record
from engines.shared.training.resume import save_state

REPORTS = 100
"""Lines of progress with the loss of training; those with the validation come on top."""


def prepare(config: Config) -> Setting:
    """Data in memory and what is known before the first step; ConfigError if a GPU is asked for and
    not there."""
    torch.set_num_threads(config.cpu_threads)
    there = torch.cuda.is_available()
    if config.device == "cuda" and not there:
        raise ConfigError("device: 'cuda', but torch finds no GPU here; take 'auto' or 'cpu'")
    device = torch.device("cuda" if there and config.device != "cpu" else "cpu")
    precision = config.precision
    if precision == "auto":
        precision = "bfloat16" if device.type == "cuda" else "float32"
    data = load(config)
    steps_per_epoch, steps = config.steps_of(len(data.train))
    beyond = [step for step in saved_steps(config, steps) if step > steps]
    if beyond:
        raise ConfigError(f"save_checkpoints: step {beyond[0]}, but the training has {steps} steps")
    return Setting(
        config,
        data,
        device,
        getattr(torch, precision),
        torch.full((len(config.members), 1), config.learning_rate, device=device),
        steps_per_epoch,
        steps,
    )


def every(share: float, steps: int) -> set[int]:
    """The steps at which each such share of a training is done."""
    number = int(1 / share + 1e-9)
    return {max(1, round(place * share * steps)) for place in range(1, number + 1)}


def saved_steps(config: Config, steps: int) -> set[int]:
    """After which steps there is a checkpoint; the last is among them."""
    if isinstance(config.save_checkpoints, list):
        return {*config.save_checkpoints, steps}
    return every(config.save_checkpoints, steps) | {steps}


class Loop:
    """A training as it goes."""

    def __init__(self, setting: Setting, out: Path, stop: Stop) -> None:
        config = setting.config
        self.setting, self.out, self.stop = setting, out, stop
        self.point = find_start(config, out, setting.device)
        self.progress = Progress(out, keep_until=self.point.step)
        recorded = setting.device.type == "cuda" and config.compiled == "auto"
        self.stepper = Stepper(
            setting, self.point.flat, self.point.losses, record if recorded else None
        )
        self.saves = saved_steps(config, setting.steps)
        self.looks = every(config.validate_every, setting.steps) | self.saves
        self.reports = every(1 / REPORTS, setting.steps) | self.looks
        self.state_at = self.point.step
        self.orders: tuple[int, list[Array]] | None = None
        self.began, self.tokens, self.reported = time.monotonic(), 0, self.point.step

    @property
    def epoch(self) -> int:
        """Whole passes over the questions."""
        return self.point.step // self.setting.steps_per_epoch

    def run(self) -> None:
        """To the end; Interrupted if asked to stop."""
        config, point = self.setting.config, self.point
        if point.step == 0 and 0 in self.saves:
            publish(config, self.out, point, 0, self.validate()[0])
        while point.step < self.setting.steps:
            self.save_if_due()
            self.stepper.take(self.next_rows(), point.step)
            point.step += 1
            if point.step in self.reports:
                self.report()

    def save_if_due(self) -> None:
        """Save a state where it is time for one, or if asked to stop."""
        point, config = self.point, self.setting.config
        due = point.step - self.state_at >= config.save_state_every_steps
        if self.stop.requested or due:
            save_state(config, self.out, point, self.epoch)
            self.state_at = point.step
        if self.stop.requested:
            raise Interrupted(
                f"at step {point.step} of {self.setting.steps}; start it again to continue"
            )

    def next_rows(self) -> Array:
        """The rows of the next step, (S, B)."""
        setting = self.setting
        if self.orders is None or self.orders[0] != self.epoch:
            # A continued run draws the order of a half-finished epoch anew, the same one.
            drawn = [
                order_of(setting.data.train, seed, self.epoch) for seed in setting.config.members
            ]
            self.orders = self.epoch, drawn
        start = self.point.step % setting.steps_per_epoch * setting.config.batch_size
        rows = [one[start : start + setting.config.batch_size] for one in self.orders[1]]
        found: Array = np.stack(rows)
        self.tokens += int(setting.data.train.lengths[found].sum(dtype=np.int64))
        return found

    def validate(self) -> tuple[list[float], list[dict[str, float]]]:
        """Each model's validation loss; and what is reported of it, set by set."""
        setting = self.setting
        judged = judge(
            self.point.flat.named(), setting.config.shape, setting.data.validation, setting.device
        )
        losses, right = judged.of_sets(setting.data)
        # Every set counts the same, however many questions it has.
        means = losses.mean(axis=1).tolist()
        found = []
        for mean, per_set in zip(means, right, strict=True):
            metrics = {RANK_BY: mean, "validation_exact_match": float(per_set.mean())}
            if len(setting.data.sets) > 1:
                for name, value in zip(setting.data.sets, per_set.tolist(), strict=True):
                    metrics[f"validation_exact_match/{name}"] = value
            found.append(metrics)
        return means, found

    def report(self) -> None:
        """A line of progress, with validation and a checkpoint where they are due."""
        setting, point = self.setting, self.point
        if setting.device.type == "cuda":
            # Kernels are launched ahead of time; without this the speed would be that of launching.
            torch.cuda.synchronize()
        seconds = time.monotonic() - self.began
        members = setting.config.members
        since = point.step - self.reported
        of_members = [{"loss": loss / since} for loss in point.losses.tolist()]
        means = [0.0] * len(members)
        if point.step in self.looks:
            means, judged = self.validate()
            for metrics, found in zip(of_members, judged, strict=True):
                metrics.update(found)
        self.note_diverged(means)
        if point.step in self.saves:
            publish(setting.config, self.out, point, self.epoch, means)
        line = {"tokens_per_second": self.tokens / seconds}
        for seed, metrics in zip(members, of_members, strict=True):
            if label(seed) in point.diverged:
                continue
            suffix = f"/{label(seed)}" if len(members) > 1 else ""
            line |= {f"{name}{suffix}": value for name, value in metrics.items()}
        self.progress.write(point.step, setting.steps, line)
        point.losses.zero_()
        self.began, self.tokens, self.reported = time.monotonic(), 0, point.step

    def note_diverged(self, validation: list[float]) -> None:
        """Write down which models are no longer finite, their validation losses (S,) included;
        asked at reports only, because within a step nothing may wait for the device."""
        point = self.point
        finite = point.flat.values.isfinite().all(dim=1) & point.losses.isfinite()
        finite &= torch.tensor(validation, device=finite.device).isfinite()
        for seed, fine in zip(self.setting.config.members, finite.tolist(), strict=True):
            if not fine:
                # setdefault: the first time counts; after it the model is still broken.
                point.diverged.setdefault(
                    label(seed),
                    f"weights or loss not finite at step {point.step}: lower the learning rate",
                )


def train(config: Config, out: Path, stop: Stop) -> None:
    """Train to the end, or until asked to stop; then judge the best and the last checkpoint."""
    started = time.monotonic()
    setting = prepare(config)
    loop = Loop(setting, out, stop)
    with own_stream(setting.device):
        loop.run()
    rows = result_rows(setting, out, loop.point)
    known = facts(setting, loop.point)
    known["cuda_graph"] = loop.stepper.repeated.replay is not None
    write_results(out, "geography", config, rows, time.monotonic() - started, known)
