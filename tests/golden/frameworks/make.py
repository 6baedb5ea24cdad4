"""Have the real frameworks write the files of this folder.

    python make.py trainer|tensorboard|lightning|lightning_checkpoints|wandb|lm_eval FOLDER

In: a framework of the version that README.md names, and the folder to fill. Out: what it writes by
itself for a small task, two lives of it where a requeue would make two; what is large and read by
nobody (optimizers) is removed. Run by hand; the tests read what was kept.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from pathlib import Path


def trainer(folder: Path) -> None:
    """A training of 8 steps, stopped behind step 4 and resumed; and one whose loss is NaN."""
    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Line(torch.nn.Module):
        """y = w x, which a NaN in the data spoils."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(2, 1)

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            y = self.linear(x)[:, 0]
            return {"loss": ((y - labels) ** 2).mean(), "logits": y}

    class Stop(TrainerCallback):
        """Ends the first life in the middle of step 6."""

        def on_step_end(self, _args, state, _control, **_):  # type: ignore[no-untyped-def]
            if state.global_step == 6:
                raise KeyboardInterrupt

    def rows(spoiled: bool) -> list[dict[str, torch.Tensor]]:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(32, 2, generator=generator)
        y = x.sum(1) * (math.nan if spoiled else 1.0)
        return [{"x": a, "labels": b} for a, b in zip(x, y, strict=True)]

    def run(name: str, spoiled: bool, life: int) -> None:
        arguments = TrainingArguments(
            output_dir=str(folder / name),
            per_device_train_batch_size=4,
            max_steps=8,
            learning_rate=0.1,
            logging_steps=2,
            eval_strategy="steps",
            eval_steps=4,
            save_steps=4,
            load_best_model_at_end=True,
            report_to=[],
            use_cpu=True,
        )
        torch.manual_seed(0)
        made = Trainer(
            model=Line(),
            args=arguments,
            train_dataset=rows(spoiled),
            eval_dataset=rows(spoiled),
            callbacks=[Stop()] if life == 0 else [],
        )
        try:
            result = made.train(resume_from_checkpoint=life == 1)
        except KeyboardInterrupt:
            return
        made.save_metrics("train", result.metrics)
        made.save_metrics("eval", {**made.evaluate(), "perplexity": 2.5})
        made.save_state()

    run("good", False, 0)
    run("good", False, 1)
    run("nan", True, 2)
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix in (".pt", ".pth", ".bin"):
            path.unlink()


def tensorboard(folder: Path) -> None:
    """Two lives in one folder, and lines of one plot in folders of their own."""
    import torch
    from torch.utils.tensorboard import SummaryWriter

    for life, steps in enumerate((range(1, 7), range(4, 9))):
        writer = SummaryWriter(str(folder / f"Nov28_10-00-0{life}_node"))
        for step in steps:
            writer.add_scalar("train/loss", 1 / step + life / 100, step)
            if step == 6 and life == 0:
                writer.add_scalar("eval/loss", math.nan, step)
                writer.add_histogram("weights", torch.tensor([1.0, 2.0, 2.0]), step)
                writer.add_text("note", "words", step)
            writer.add_scalars("rate", {"low": 0.1 * step, "high": step}, step)
            time.sleep(0.01)
        writer.close()
        time.sleep(1.1)
    for path in sorted(folder.rglob("events.*")):
        path.rename(path.with_name(path.name.replace(f".{os.uname().nodename}.", ".node.")))


def lightning(folder: Path) -> None:
    """Two lives: the second goes on from a checkpoint, in another version."""
    import torch
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.loggers import CSVLogger

    class Line(LightningModule):
        """y = w x."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(1, 1)

        def training_step(self, batch):  # type: ignore[no-untyped-def]
            loss = (self.linear(batch) ** 2).mean()
            self.log("train/loss", loss, on_step=True, on_epoch=True)
            return loss

        def validation_step(self, batch):  # type: ignore[no-untyped-def]
            self.log("val_loss", (self.linear(batch) ** 2).mean())

        def configure_optimizers(self):  # type: ignore[no-untyped-def]
            return torch.optim.SGD(self.parameters(), lr=0.1)

    data = torch.utils.data.DataLoader(torch.arange(16.0)[:, None] / 16, batch_size=4)
    saved = folder / "saved.ckpt"
    for life, epochs in enumerate((2, 3)):
        torch.manual_seed(life)
        made = Trainer(
            max_epochs=epochs,
            logger=CSVLogger(str(folder), flush_logs_every_n_steps=1),
            log_every_n_steps=2,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            accelerator="cpu",
        )
        made.fit(Line(), data, data, ckpt_path=str(saved) if life else None)
        made.save_checkpoint(str(saved))
    saved.unlink()


def lightning_checkpoints(folder: Path) -> None:
    """A training of 12 steps that saves every 4 steps, the last one, and by its validation the best
    one elsewhere."""
    import torch
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger

    class Line(LightningModule):
        """y = w x."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(1, 1)

        def training_step(self, batch):  # type: ignore[no-untyped-def]
            loss = (self.linear(batch) ** 2).mean()
            self.log("loss", loss)
            return loss

        def validation_step(self, batch):  # type: ignore[no-untyped-def]
            self.log("val_loss", (self.linear(batch) ** 2).mean())

        def configure_optimizers(self):  # type: ignore[no-untyped-def]
            return torch.optim.SGD(self.parameters(), lr=0.1)

    torch.manual_seed(0)
    data = torch.utils.data.DataLoader(torch.arange(16.0)[:, None] / 16, batch_size=4)
    best = ModelCheckpoint(
        dirpath=folder / "best", monitor="val_loss", filename="{epoch}-{val_loss:.3f}"
    )
    made = Trainer(
        max_epochs=3,
        logger=CSVLogger(str(folder), flush_logs_every_n_steps=1),
        log_every_n_steps=2,
        callbacks=[ModelCheckpoint(every_n_train_steps=4, save_top_k=-1, save_last=True), best],
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    made.fit(Line(), data, data)
    for path in folder.rglob("hparams.yaml"):
        path.unlink()


def wandb(folder: Path) -> None:
    """Two lives of one id, the first without an end."""
    import subprocess

    script = (
        "import os, sys, wandb\n"
        # What would tell of the machine is left out.
        "own = dict(console='off', x_disable_meta=True, x_disable_stats=True, disable_git=True,\n"
        "           disable_code=True, x_save_requirements=False, host='node', program='train.py',\n"
        "           disable_job_creation=True, disable_machine_info=True)\n"
        "own = {k: v for k, v in own.items() if k in wandb.Settings.model_fields}\n"
        "run = wandb.init(project='p', id='one', settings=wandb.Settings(**own))\n"
        "for step in range(*map(int, sys.argv[1:3])):\n"
        "    words = 'x' * 600\n"
        "    run.log({'loss': 1 / step, 'eval': {'acc': step / 100}, 'text': words,\n"
        "             'global': step, 'bad': float('nan')})\n"
        "    if sys.argv[3] == 'killed' and step == int(sys.argv[2]) - 1:\n"
        "        import time; time.sleep(2); os._exit(9)\n"
        "run.finish()\n"
    )
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_DIR": str(folder)}
    for life in (["1", "40", "killed"], ["20", "31", "ends"]):
        subprocess.run([sys.executable, "-c", script, *life], env=environment, check=False)
        time.sleep(1.1)
    for path in sorted(folder.rglob("run-*.wandb")):
        kept = folder / path.parent.name
        kept.mkdir()
        shutil.copy(path, kept)
    shutil.rmtree(folder / "wandb")


def lm_eval(folder: Path) -> None:
    """A group of two tasks and one with two filters, with a model that answers at random."""
    import json
    import subprocess

    tasks = folder / "tasks"
    tasks.mkdir()
    rows = [{"q": f"Is {n} even?", "a": n % 2} for n in range(12)]
    (tasks / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    common = (
        f"dataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {tasks}/rows.jsonl\n"
        'test_split: test\ndoc_to_text: "{{q}}"\n'
    )
    choice = (
        'output_type: multiple_choice\ndoc_to_choice: ["yes", "no"]\ndoc_to_target: a\n'
        "metric_list:\n  - metric: acc\n    aggregation: mean\n    higher_is_better: true\n"
    )
    for name in ("even_a", "even_b"):
        (tasks / f"{name}.yaml").write_text(f"task: {name}\n{common}{choice}")
    (tasks / "even.yaml").write_text(
        "group: even\ntask: [even_a, even_b]\naggregate_metric_list:\n"
        "  - metric: acc\n    aggregation: mean\n    weight_by_size: true\n"
    )
    (tasks / "filtered.yaml").write_text(
        f"task: filtered\n{common}output_type: generate_until\n"
        'doc_to_target: "{{a}}"\nmetric_list:\n  - metric: exact_match\n'
        "    aggregation: mean\n    higher_is_better: true\n"
        "filter_list:\n  - name: strict\n    filter:\n      - function: take_first\n"
        "  - name: loose\n    filter:\n      - function: lowercase\n      - function: take_first\n"
    )
    for limit in ("8", "12"):
        words = ["--model", "dummy", "--tasks", "even,filtered", "--include_path", str(tasks)]
        words += ["--limit", limit, "--output_path", str(folder / "out")]
        subprocess.run([sys.executable, "-m", "lm_eval", *words], check=True)
    shutil.rmtree(tasks)
    for path in (folder / "out").rglob("results_*.json"):
        document = json.loads(path.read_text())
        # They tell of the machine, and nobody reads them.
        for key in ("pretty_env_info", "configs", "config"):
            del document[key]
        (folder / path.name).write_text(json.dumps(document, indent=1))
    shutil.rmtree(folder / "out")


if __name__ == "__main__":
    made = Path(sys.argv[2])
    made.mkdir(parents=True)
    globals()[sys.argv[1]](made)
