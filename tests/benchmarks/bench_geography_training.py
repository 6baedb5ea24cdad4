"""What the training of small models on questions about cities costs, against transformers' Trainer
on the same rows.

    make bench-geography-training

The published shape (128 x 6, 1.6 M parameters), batches of 128 questions of all seven tasks, one
thread. Both train on the same rows in the same order from the same weights; only tokens that are
predicted are counted, by CPU seconds of the process. The two take turns, each time in a process of
its own, so that what else the machine does falls on both alike. The Trainer needs the package
accelerate, which nothing else here does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engines.contract.program import Stop
from engines.geography.config import Config
from engines.geography.data import load
from engines.geography.resume import start_weights
from engines.geography.step import Setting, Stepper
from engines.geography_data.config import Config as DataConfig
from engines.geography_data.making import make
from engines.shared.geography.network.packing import Array, Table, packed, padded
from engines.shared.geography.network.shapes import count
from engines.shared.geography.network.weights import write_model
from engines.shared.geography.vocabulary import PADDING
from engines.shared.training.optimizer import Flat

BATCH, RATE, WARMUP = 128, 3e-4, 2
TRAINER, ENGINE = "transformers' Trainer", "engine"


def make_data(folder: Path, rows: int) -> Path:
    """Sets of all tasks about 1,000 cities."""
    folder.mkdir()
    sets = {"no_atlantis": {"train": rows, "validation": 8, "test": 8}}
    make(DataConfig.model_validate({"cities": 1000, "atlantis": 0, "sets": sets}), folder, Stop())
    return folder


def ours(setting: Setting, order: Array) -> tuple[list[float], list[float]]:
    """Losses and CPU seconds of every step of the engine."""
    flat = Flat.of(start_weights(setting.config), setting.device, matrices_alone=True)
    losses = torch.zeros(1)
    stepper = Stepper(setting, flat, losses, None)
    seen, seconds = [], []
    for step in range(setting.steps):
        started = time.process_time()
        stepper.take(order[None, step * BATCH : (step + 1) * BATCH], step)
        seconds.append(time.process_time() - started)
        seen.append(float(losses))
        losses.zero_()
    return seen, seconds


class Rows(torch.utils.data.Dataset):  # type: ignore[misc]
    """Questions as a data set of transformers, tokens already made."""

    def __init__(self, table: Table, order: Array) -> None:
        self.table, self.order = table, order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, place: int) -> dict[str, list[int]]:
        row = self.order[place]
        return {"input_ids": self.table.tokens[row, : self.table.lengths[row]].tolist()}


def collate(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """Padded to the longest, as transformers' collator for language models does it."""
    texts = [torch.tensor(row["input_ids"]) for row in rows]
    ids = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=PADDING)
    mask = (ids != PADDING).long()
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}


def theirs(setting: Setting, order: Array, folder: Path) -> tuple[list[float], list[float]]:
    """The same of transformers' Trainer."""
    from transformers import (
        AutoModelForCausalLM,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    config = setting.config
    write_model(folder / "start", config.shape, start_weights(config))
    taken: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            if not taken:
                taken.append(time.process_time())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            taken.append(time.process_time())

    class InOrder(Trainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=BATCH,
        max_steps=setting.steps,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup_steps,
        lr_scheduler_type="linear",
        weight_decay=config.weight_decay,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    trainer = InOrder(
        model=AutoModelForCausalLM.from_pretrained(folder / "start"),
        args=arguments,
        train_dataset=Rows(setting.data.train, order),
        data_collator=collate,
        callbacks=[Clock()],
    )
    trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    return losses, np.diff(taken).tolist()


def one_side(name: str, folder: Path, steps: int) -> tuple[list[float], list[float]]:
    """Losses and CPU seconds of every step of one of the two, in the present process."""
    torch.set_num_threads(1)
    setting, order = prepared(folder, steps)
    if name == ENGINE:
        return ours(setting, order)
    return theirs(setting, order, folder)


def prepared(folder: Path, steps: int) -> tuple[Setting, Array]:
    """What both train with, and the order of the rows."""
    config = Config(data=str(folder / "data"), steps=steps, warmup_steps=WARMUP, learning_rate=RATE)
    data = load(config)
    device, rates = torch.device("cpu"), torch.full((1, 1), RATE)
    setting = Setting(config, data, device, torch.float32, rates, 10**9, steps)
    return setting, np.random.default_rng(0).permutation(len(data.train))[: steps * BATCH]


def training(folder: Path, steps: int, rounds: int) -> None:
    """Print tokens per CPU second of both, padding, and how far the losses are apart."""
    make_data(folder / "data", max(1000, steps * BATCH // 7 + 1))
    setting, order = prepared(folder, steps)
    fresh = multiprocessing.get_context("spawn")
    losses: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {TRAINER: [], ENGINE: []}
    for turn in range(rounds):
        for name, of_rounds in seconds.items():
            own = folder / f"{name}-{turn}"
            own.mkdir()
            (own / "data").symlink_to(folder / "data")
            with fresh.Pool(1) as pool:
                losses[name], taken = pool.apply(one_side, (name, own, steps))
            of_rounds.append(float(np.median(taken[1:])))
    predicted = int(setting.data.train.lengths[order].astype(np.int64).sum()) - len(order)
    print(f"{count(setting.config.shape):,} parameters, {steps} steps of {BATCH} questions")
    waste(setting.data.train, order)
    print("| | tokens per CPU second, median step of each round | ratio |\n| --- | --- | --- |")
    ratios = np.array(seconds[TRAINER]) / np.array(seconds[ENGINE])
    for name, ratio in (
        (TRAINER, "1"),
        (ENGINE, f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"),
    ):
        speeds = ", ".join(f"{predicted / steps / one:,.0f}" for one in seconds[name])
        print(f"| {name} | {speeds} | {ratio} |")
    apart = np.abs(np.array(losses[TRAINER]) - np.array(losses[ENGINE]))
    first, last = (losses[ENGINE][place] for place in (0, -1))
    print(f"loss {first:.4f} -> {last:.4f}; the two curves at most {apart.max():.1e} apart")


def waste(table: Table, order: Array) -> None:
    """Print what padding and packing make of the tokens of a batch."""
    real, longest, compact, fixed = 0, 0, 0, 0
    for start in range(0, len(order), BATCH):
        rows = order[None, start : start + BATCH]
        lengths = table.lengths[rows].astype(int)
        real += int(lengths.sum()) - lengths.size
        longest += int(lengths.max()) * lengths.size
        fixed += padded(table, rows, "all").tokens.numel()
        compact += sum(batch.tokens.numel() for batch in packed(table, rows, "all", 10**9))
    print(
        f"{real:,} tokens to predict; the network runs on {longest:,} padded to the longest of the "
        f"batch ({1 - real / longest:.0%} for nothing), {fixed:,} in the one shape of a GPU "
        f"({1 - real / fixed:.0%}), {compact:,} packed ({compact / real - 1:+.0%})"
    )


def main() -> int:
    """Print one table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        training(Path(folder), asked.steps, asked.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
