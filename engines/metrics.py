"""Every metric that may appear in a result, with unit, range and direction. Registered once, here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """How to read a metric's value."""

    about: str
    unit: str
    low: float | None
    high: float | None
    higher_is_better: bool | None
    """None where neither direction is better."""


METRICS: dict[str, Metric] = {
    "accuracy": Metric("share of samples judged correct", "share", 0.0, 1.0, True),
    "score": Metric("mean score of the samples, partial credit included where the task has it", "share", 0.0, 1.0, True),
    "no_answer_rate": Metric("share of samples without an answer that could be read", "share", 0.0, 1.0, False),
    "truncated_rate": Metric("share of samples that hit the token limit", "share", 0.0, 1.0, False),
    "response_tokens": Metric("mean length of a response", "tokens", 0.0, None, None),
    "validation_reward_mean": Metric("mean over tasks of the mean validation reward", "reward", 0.0, 1.0, True),
    "validation_reward": Metric("mean validation reward of one task", "reward", 0.0, 1.0, True),
    "train_reward_mean": Metric("mean reward of the rollouts of a step", "reward", 0.0, 1.0, True),
    "conflict_rate": Metric("share of task pairs whose gradients have a negative inner product", "share", 0.0, 1.0, False),
    "loss": Metric("training loss", "nats", None, None, False),
    "accuracy_difference": Metric("accuracy of the treatment minus the baseline, paired by problem", "share", -1.0, 1.0, True),
    "score_difference": Metric("score of the treatment minus the baseline, paired by problem", "share", -1.0, 1.0, True),
}
