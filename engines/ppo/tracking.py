"""What a training reports as it goes: rewards, statuses and validation as metrics and rows."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from engines.contract.results import Row
from engines.ppo.data.prompts import Prompts
from engines.ppo.data.task_sampler import Group
from engines.ppo.early_stopping import Validation
from engines.shared.data.problems import Problem
from engines.shared.scoring.verdict import JUDGED, Verdict


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
