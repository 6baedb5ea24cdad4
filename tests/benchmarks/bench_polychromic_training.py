"""What fine-tuning on replies costs without the diversity term, against TRL's SFTTrainer on the
same rows.

    make bench-polychromic-training

Two sizes: one like the smoke preset's model and one of 43 million parameters with a vocabulary of
32,000; replies to texts of different lengths, 16 rows a step, LoRA of rank 16 on all linear layers
from the same start, the same schedule, one thread. Both train on the replies alone, and neither
recomputes activations, which is SFTTrainer's default. They take turns; of each step its fastest
turn counts. Tokens are those of the rows, without padding, per CPU second of the process. The
losses of both are compared step by step.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engines.polychromic.batches import rows_of_step
from engines.polychromic.config import Config
from engines.polychromic.step import Setting, Stepper
from engines.polychromic.training import prepare
from engines.shared.language_model.lora import write_adapter
from tests.support.reply_folders import Size, write_base, write_rows

SIZES = {
    "small": ("2 x 64, 200 words", Size(200, 64, 2, 2, (5, 16), (4, 12))),
    "large": ("8 x 512, 32,000 words", Size(32_000, 512, 8, 8, (8, 80), (6, 60))),
}
BATCH, RATE, WARMUP = 16, 2e-4, 0.1

Run = tuple[list[float], list[float]]
"""Losses and CPU seconds of every step."""


def ours(setting: Setting) -> Run:
    """The steps of the engine."""
    stepper = Stepper(setting)
    losses, seconds = [], []
    for step in range(setting.steps):
        started = time.process_time()
        losses.append(stepper.take(step)["cross_entropy"])
        seconds.append(time.process_time() - started)
    return losses, seconds


def dataset(setting: Setting) -> Any:
    """The rows in the order in which the engine takes them, as TRL's tokenised form."""
    from datasets import Dataset

    train = setting.train
    order = [
        row
        for step in range(setting.steps)
        for row in rows_of_step(setting.config, len(train.replies), step)
    ]
    sequences = [train.sequences[row] for row in order]
    return Dataset.from_list(
        [
            {"input_ids": [*prompt, *reply], "labels": [-100] * len(prompt) + list(reply)}
            for prompt, reply in sequences
        ]
    )


def theirs(setting: Setting, adapter: Path, folder: Path) -> Run:
    """The same of SFTTrainer, from the same adapter."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, PrinterCallback, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    config = setting.config
    base = AutoModelForCausalLM.from_pretrained(config.model)
    taken: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            if not taken:
                taken.append(time.process_time())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            taken.append(time.process_time())

    arguments = SFTConfig(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=BATCH,
        max_steps=setting.steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=math.ceil(config.warmup_share * setting.steps),
        weight_decay=config.weight_decay,
        max_grad_norm=config.gradient_clip,
        gradient_checkpointing=False,
        train_sampling_strategy="sequential",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        bf16=False,
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = SFTTrainer(
        model=PeftModel.from_pretrained(base, adapter, is_trainable=True),
        args=arguments,
        train_dataset=dataset(setting),
        processing_class=setting.model.tokenizer,
        callbacks=[Clock()],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    return losses, np.diff(taken).tolist()


def compare(name: str, size: Size, steps: int, turns: int, folder: Path) -> None:
    """Print a row of the table for each of the two, and how far their losses are apart."""
    write_base(folder / "base", size)
    write_rows(folder / "data", size, steps * BATCH)
    config = Config(
        model=str(folder / "base"),
        data=str(folder / "data"),
        steps=steps,
        batch_size=BATCH,
        learning_rate=RATE,
        warmup_share=WARMUP,
    )
    adapter = folder / "adapter"
    runs: dict[str, list[Run]] = {"SFTTrainer": [], "engine": []}
    for _ in range(turns):
        setting, _, _ = prepare(config)
        write_adapter(setting.model.inner, adapter, setting.model.base.fingerprint)
        runs["SFTTrainer"].append(theirs(setting, adapter, folder))
        runs["engine"].append(ours(setting))
    tokens = sum(len(prompt) + len(reply) for prompt, reply in setting.train.sequences) / steps
    parameters = sum(one.numel() for one in setting.model.inner.parameters()) / 1e6
    seconds = {}
    for which, found in runs.items():
        fastest = np.min([taken for _, taken in found], axis=0)
        # The first step makes the optimiser's moments.
        seconds[which] = float(fastest[1:].mean())
        print(
            f"| {name}, {parameters:.1f} M | {which} | {1000 * seconds[which]:,.1f} | "
            f"{tokens / seconds[which]:,.0f} | {seconds['SFTTrainer'] / seconds[which]:.2f} |"
        )
    curves = [np.array(found[0][0]) for found in runs.values()]
    print(
        f"{tokens:,.0f} tokens a step, {setting.train.reply_tokens / steps:,.0f} of replies; loss "
        f"{curves[1][0]:.4f} -> {curves[1][-1]:.4f}, the two curves at most "
        f"{np.abs(curves[0] - curves[1]).max():.1e} apart",
        file=sys.stderr,
    )


def main() -> int:
    """Print one table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", choices=("small", "large"))
    torch.set_num_threads(1)
    given = parser.parse_args()
    print("| model | | CPU ms per step | tokens per CPU second | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for name, (label, size) in SIZES.items():
        if given.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                compare(label, size, given.steps, given.turns, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
