"""When to stop: no improvement over several validations."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engines.ppo.config import EarlyStopping


@dataclass(frozen=True)
class Validation:
    """One validation: mean reward per task, and the mean over tasks."""

    epoch: int
    step: int
    mean: float
    tasks: dict[str, float]
    counted: bool
    """Whether early stopping counts it: those before training and at every
    ``validate_every_epochs``."""

    def __post_init__(self) -> None:
        """A mean that is no number is a failure, not "no improvement"."""
        if not math.isfinite(self.mean):
            raise ValueError(
                f"validation at epoch {self.epoch}: mean reward is {self.mean}; look at "
                "the scores of each task"
            )


def should_stop(rule: EarlyStopping | None, validations: list[Validation]) -> bool:
    """Whether the last ``patience`` counted validations all failed to beat the best before them by
    more than ``min_delta``.

    Patience counts validations, not epochs; the one before training is the first best; never before
    ``min_epochs``.
    """
    counted = [validation for validation in validations if validation.counted]
    if rule is None or not counted or counted[-1].epoch < rule.min_epochs:
        return False
    best, bad = counted[0].mean, 0
    for validation in counted[1:]:
        # `best` does not move for a gain below min_delta, so that several small gains add up to one
        # that counts.
        if validation.mean > best + rule.min_delta:
            best, bad = validation.mean, 0
        else:
            bad += 1
    return bad >= rule.patience
