"""What a training reports as it goes: rewards, statuses and validation as metrics and rows; and
Weights & Biases, if asked for. ``progress.jsonl`` is always there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from engines.contract.config import ConfigError
from engines.contract.files import write_text
from engines.contract.results import Row
from engines.ppo.config import Config
from engines.ppo.data.prompts import Prompts
from engines.ppo.data.task_sampler import Group
from engines.ppo.early_stopping import Validation
from engines.shared.data.problems import Problem
from engines.shared.inference import sample_seed
from engines.shared.scoring.verdict import JUDGED, Verdict


class Tracker:
    """Sends metrics to W&B (``offline`` writes them below ``out/wandb``). The run id is kept for a
    continued run."""

    def __init__(self, config: Config, out: Path) -> None:
        self.run: Any = None
        if config.wandb == "off":
            return
        try:
            import wandb
        except ImportError as error:
            raise ConfigError(
                f"wandb: {config.wandb} needs the package wandb (extra 'wandb')"
            ) from error
        path = out / "wandb-run-id.txt"
        if not path.exists():
            # From the path and the folder's inode: a folder that was deleted and made again is
            # another run, although it has the same path.
            write_text(path, f"{sample_seed(str(out.resolve()), path.parent.stat().st_ino):016x}")
        self.run = wandb.init(
            project=config.wandb_project,
            id=path.read_text(),
            resume="allow",
            mode=config.wandb,
            dir=out,
            config=config.model_dump(),
        )

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Send one point."""
        if self.run is not None:
            # The step is a value like the others. W&B's own step must never go back, and a run that
            # is continued after a crash does some steps again.
            self.run.log({**metrics, "step": step})

    def finish(self) -> None:
        """Flush and close."""
        if self.run is not None:
            self.run.finish()


def reward(verdict: Verdict) -> float:
    """What training takes a verdict for: an answer that could not be judged has earned nothing. It
    is counted elsewhere."""
    return verdict.value if verdict.value is not None else 0.0


def status_metrics(
    tasks: dict[str, list[Problem]], verdicts: list[list[Verdict]]
) -> dict[str, float]:
    """Per task, the share of samples without an answer, and of those whose scorer timed out or
    failed."""
    # The verdicts come problem by problem, in the order of the tasks.
    groups = iter(verdicts)
    metrics = {}
    for task, problems in tasks.items():
        statuses = [verdict.status for _ in problems for verdict in next(groups)]
        metrics[f"no_answer_rate/{task}"] = fmean(status == "no_answer" for status in statuses)
        metrics[f"not_judged_rate/{task}"] = fmean(status not in JUDGED for status in statuses)
    return metrics


def reward_metrics(tasks: dict[str, list[Group]]) -> dict[str, float]:
    """Mean reward, length, and share of groups whose samples all got the same reward (they have no
    gradient)."""
    metrics = {
        f"train_reward/{task}": fmean(value for group in groups for value in group.rewards)
        for task, groups in tasks.items()
    }
    metrics |= {
        f"equal_groups_rate/{task}": fmean(len(set(group.rewards)) == 1 for group in groups)
        for task, groups in tasks.items()
    }
    groups = [group for task in tasks.values() for group in task]
    samples = [sample for group in groups for sample in group.samples]
    return metrics | {
        "train_reward_mean": fmean(metrics[f"train_reward/{task}"] for task in tasks),
        "equal_groups_rate": fmean(len(set(group.rewards)) == 1 for group in groups),
        "response_tokens": fmean(len(sample.token_ids) for sample in samples),
        "truncated_rate": fmean(sample.finish_reason == "length" for sample in samples),
    }


def validation_rows(moment: str, validation: Validation, prompts: Prompts) -> Iterator[Row]:
    """Rows of one validation: the mean over tasks, and each task."""
    axes: dict[str, str | int | float | bool] = {
        "moment": moment,
        "epoch": validation.epoch,
        "step": validation.step,
    }
    sizes = {task: len(problems) for task, problems in prompts.validation.items()}
    yield Row(
        metric="validation_reward_mean", value=validation.mean, n=sum(sizes.values()), axes=axes
    )
    for task, value in validation.tasks.items():
        yield Row(
            metric="validation_reward", value=value, n=sizes[task], axes={**axes, "task": task}
        )
