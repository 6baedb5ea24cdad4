"""Which training problems a step uses: the same number of every task, every problem once per pass,
no state but the step."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from engines.shared.inference import Generation, sample_seed

P = TypeVar("P")


@dataclass(frozen=True)
class Group:
    """The samples of one prompt and their rewards."""

    prompt: tuple[int, ...]
    samples: tuple[Generation, ...]
    rewards: tuple[float, ...]


class TaskSampler(Generic[P]):
    """Task-stratified sampling: ``prompts_per_task`` problems of every task per step, in a fixed
    order of tasks.

    Pass number c over a task's problems is a permutation that hangs on (seed, task, c) alone, so
    that any step can be asked for.
    """

    def __init__(
        self, problems: Mapping[str, Sequence[P]], prompts_per_task: int, seed: int
    ) -> None:
        self.problems = {task: list(problems[task]) for task in sorted(problems)}
        self.prompts_per_task = prompts_per_task
        self.seed = seed
        self._orders: dict[str, tuple[int, list[int]]] = {}
        """Number and order of the pass that was asked for last, per task: shuffling tens of
        thousands for each problem takes long."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps until the task with the most problems has been seen once; smaller tasks begin their
        next pass meanwhile."""
        return -(-max(map(len, self.problems.values())) // self.prompts_per_task)

    def batch(self, step: int) -> dict[str, list[P]]:
        """The problems of optimizer step ``step`` (from 0), per task."""
        first = step * self.prompts_per_task
        return {
            task: [
                self._at(task, position) for position in range(first, first + self.prompts_per_task)
            ]
            for task in self.problems
        }

    def _at(self, task: str, position: int) -> P:
        problems = self.problems[task]
        # Positions count on over the passes: with 10 problems, position 12 is place 2 of pass 1.
        number, place = divmod(position, len(problems))
        if self._orders.get(task, (-1,))[0] != number:
            order = list(range(len(problems)))
            random.Random(sample_seed(self.seed, "order", task, number)).shuffle(order)
            self._orders[task] = (number, order)
        return problems[self._orders[task][1][place]]
